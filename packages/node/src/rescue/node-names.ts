import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StoreId, Voter } from '@ashlar/proto'
import { MapState, mapSnapshots } from '../core/control/index.ts'
import { controlLogDirectory, openControlLog } from '../storage/index.ts'

/** A store as control's log knew it: for people, who know nodes by their names. */
export interface KnownNode {
  readonly name: string
  readonly address: string
}

/** Nodes of the control logs in these directories. A directory without a log that can be read adds none. */
export async function knownNodes(directories: readonly string[]): Promise<ReadonlyMap<StoreId, KnownNode>> {
  const known = new Map<StoreId, KnownNode>()
  for (const directory of directories)
    for (const [store, node] of await nodesOfLog(directory).catch(() => [])) known.set(store, node)
  return known
}

/** Reads a copy, since opening a log may change it. */
async function nodesOfLog(directory: string): Promise<[StoreId, KnownNode][]> {
  const scratch = await mkdtemp(join(tmpdir(), 'ashlar-log-'))
  try {
    const copy = join(scratch, 'control')
    await cp(controlLogDirectory(directory), copy, { recursive: true })
    const { entries, snapshot, close } = await opened(copy)
    await close()
    const nodes = snapshot === undefined ? [] : [...mapOf(snapshot.state).nodes.values()]
    const registered = entries.flatMap(({ command }) => (command.do === 'register' ? [command] : []))
    return [...nodes, ...registered].map(({ store, name, address }) => [store, { name, address }])
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function opened(copy: string) {
  const log = await openControlLog(copy)
  return { entries: log.entries, snapshot: log.snapshot, close: () => log.close() }
}

function mapOf(snapshot: Uint8Array): MapState {
  let map = new MapState()
  const reader = mapSnapshots({
    current: () => map,
    replace: (state) => {
      map = state
    },
  }).restore(snapshot)
  while (!reader.next());
  return map
}

export interface NodeNames {
  readonly of: (store: StoreId) => string
  readonly addressOf: (store: StoreId) => string | undefined
}

/** Names of stores for people: that of the node, else its address as the voters of a directory have it, else the id. */
export function namesOf(
  known: ReadonlyMap<StoreId, KnownNode>,
  surveys: readonly { readonly voters: readonly Voter[] }[],
): NodeNames {
  const addresses = new Map(surveys.flatMap(({ voters }) => voters.map(({ store, address }) => [store, address])))
  const addressOf = (store: StoreId): string | undefined => known.get(store)?.address || addresses.get(store)
  return { of: (store) => known.get(store)?.name ?? addresses.get(store) ?? store, addressOf }
}
