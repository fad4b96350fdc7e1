import type { Head } from '../../core/machine.ts'
import type { JournalSection } from '../repositories/journal-repository.ts'
import type { LocalReplica } from './local-replica.ts'

/**
 * Applies a journal section to the memory of its replica. Both the batch that is being built and
 * the replay at open go through here, so that a restart ends in the state that was before it.
 */
export function applySection(replica: LocalReplica, section: JournalSection): void {
  const { last, commitSeq, extra, operations, blocks } = section
  const { generation } = replica.head
  replica.head = { ...replica.head, ...headPart(section) }
  for (const operation of operations) {
    if (operation.generation > replica.head.generation) {
      replica.head = { ...replica.head, generation: operation.generation }
    }
  }
  if (extra?.windows !== undefined) replica.windows.replace(extra.windows)
  for (const operation of operations) replica.windows.record(operation)
  if (replica.head.generation > generation) replica.windows.dropBelow(replica.head.generation)
  for (const { block, before, after } of blocks) replica.replaceVersion(block, before, after)
  if (last !== undefined || commitSeq !== undefined || extra !== undefined || operations.length > 0) {
    replica.headDirty = true
  }
}

function headPart({ last, commitSeq, extra }: JournalSection): Partial<Head> {
  return {
    ...(last === undefined ? {} : { lastEpoch: last.epoch, lastSeq: last.seq }),
    ...(commitSeq === undefined ? {} : { commitSeq }),
    ...(extra?.promised === undefined ? {} : { promised: extra.promised }),
    ...(extra?.led === undefined ? {} : { led: extra.led }),
    ...(extra?.generation === undefined ? {} : { generation: extra.generation }),
    ...(extra?.record === undefined ? {} : { record: extra.record ?? undefined }),
  }
}

/** Adds a later section of the same extent to one of the same batch. */
export function mergeSection(into: JournalSection, later: JournalSection): void {
  into.last = later.last ?? into.last
  into.commitSeq = later.commitSeq ?? into.commitSeq
  // Windows that replace all others make the operations before them meaningless.
  if (later.extra?.windows !== undefined) into.operations = []
  if (later.extra !== undefined) into.extra = { ...into.extra, ...later.extra }
  for (const operation of later.operations) into.operations.push(operation)
  for (const block of later.blocks) into.blocks.push(block)
}
