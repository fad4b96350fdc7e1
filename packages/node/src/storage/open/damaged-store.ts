import { AshlarError } from '@ashlar/proto'
import { corruptStoreError } from '../errors.ts'
import type { Complete } from '../store.ts'

/** What the advice about a damaged data directory names. */
export interface StoreOwner {
  /** Name of the node. */
  readonly node: string
  /** Addresses of other nodes. */
  readonly peers: readonly string[]
}

type Completion = Parameters<Complete>[0]

const CORRUPT_HINT = corruptStoreError('').hint
/** What LevelDB says of a table or a log that it cannot read (docs/internals/leveldb.md). */
const CORRUPTION = /^Corruption:/

/** A data directory that its store cannot repair, with the commands that help where other nodes hold what it held (A2.17-7). */
export function withAdvice(error: unknown, directory: string, owner: StoreOwner | undefined): unknown {
  if (!(error instanceof AshlarError) || error.hint !== CORRUPT_HINT) return error
  const { code, message, details, cause } = error
  return new AshlarError(code, message, { hint: putAside(directory, owner), details, cause })
}

/** The same for a read that failed because of what is on the disk: each start would end in it. */
export function completionWithAdvice(input: Completion, directory: string, owner: StoreOwner | undefined): Completion {
  if (input.type !== 'store-failed' || !CORRUPTION.test(input.reason)) return input
  return { ...input, reason: `its tables are damaged: ${input.reason}. ${putAside(directory, owner)}` }
}

function putAside(directory: string, { node, peers }: StoreOwner = { node: 'NODE', peers: [] }): string {
  const others = peers.length === 0 ? '' : ` (${peers.join(', ')})`
  const [from, to] = [directory, `${directory}.damaged`].map(quoted)
  return (
    `This node cannot repair it. Ask another node${others}: "ashlar node lost ${node}" changes nothing and prints what only ${node} holds. ` +
    `If it prints "Only there: no extent", the others hold everything: mv ${from} ${to}, and start ${node} again, which copies its replicas from them.`
  )
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
