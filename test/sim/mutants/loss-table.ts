import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'

/**
 * Bugs that lose or repeat a write only where a copy or a takeover is cut short, or a store lost something and does not
 * know.
 */
export const LOSS_MUTANTS: readonly Mutant[] = [
  {
    name: 'pushes-not-staged',
    rule: 'Amendment 25',
    wrong:
      'A replica that counts takes in block by block what a primary copies to it, and knows of no operation of it until the MARK.',
    edits: [
      {
        room: REPLICATION,
        in: 'ReplicaRole.onOpen',
        find: '(open.counts ?? this.counts()) ? new StagedPushes(this.services.staging) : undefined',
        replace: 'undefined',
      },
    ],
    schedule: 'retried-after-pushes',
  },
  {
    name: 'cancelled-where-pushed',
    rule: 'Amendment 25',
    wrong: 'The same: an operation whose bytes were pushed is cancelled as one that never took effect.',
    edits: [
      {
        room: REPLICATION,
        in: 'ReplicaRole.onPush',
        find: 'stream.staged?.add(change) === true',
        replace: "stream.phase !== 'open' && stream.staged?.add(change) === true",
      },
      {
        room: REPLICATION,
        in: 'ReplicaRole.onPush',
        find: 'stream.staged?.isLarge === false',
        replace: "stream.phase !== 'open'",
      },
    ],
    schedule: 'cancelled-after-pushes',
  },
  {
    name: 'last-committed-may-be-missing',
    rule: 'A2.8-4',
    wrong: 'A primary that lost the very last write that another knows to be committed is not behind.',
    edits: [
      { room: REPLICATION, in: 'lacksCommitted', find: 'version.seq <= commitSeq', replace: 'version.seq < commitSeq' },
    ],
    schedule: 'last-committed-is-missing',
  },
  {
    name: 'commits-not-reported',
    rule: 'Amendment 26',
    wrong: 'The primary of an extent that falls idle reports to no replica that the last write is committed.',
    edits: [{ room: REPLICATION, in: 'CommitNotice.maintain', find: '!this.pending', replace: 'this.pending' }],
    schedule: 'last-write-is-missing',
  },
  {
    name: 'write-without-attachment',
    rule: 'Amendment 4',
    wrong: 'A write that names no attachment is taken.',
    edits: [{ room: REPLICATION, in: 'Writes.refusal', find: 'generation === 0', replace: 'generation < 0' }],
    schedule: 'write-of-no-attachment',
  },
  {
    name: 'shorter-tail-wins',
    rule: 'Amendment 26',
    wrong: 'A new primary puts its own state over that of a member that got further.',
    edits: [
      { room: REPLICATION, in: 'RollForward.onOpened', find: '!this.isAhead(opened)', replace: 'opened.lastSeq >= 0' },
    ],
    schedule: 'shorter-tail-is-named',
  },
  {
    name: 'started-alone',
    rule: 'Amendment 26',
    wrong:
      'A new primary orders START while it is one too few, so that a member that comes then cannot be ahead of it.',
    edits: [{ room: REPLICATION, in: 'InSyncKeeper.mayStart(record)', body: 'return this.allMarked(record)' }],
    schedule: 'shorter-tail-is-alone',
  },
  {
    name: 'rolled-forward-without-operations',
    rule: 'Amendments 13 and 26',
    wrong: 'A new primary takes over what a member has more, and not what it knows of the operations in it.',
    edits: [
      {
        room: REPLICATION,
        in: 'RollForward.onLearned',
        find: 'windows ?? []',
        replace: 'this.parts.state.extent.windows.snapshot()',
      },
    ],
  },
]
