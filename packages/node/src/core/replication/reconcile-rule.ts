import { type BlockIndex, type BlockVersion, isHigher, type SessionWindow, sameVersion } from '@ashlar/proto'
import type { LeafVersions } from '../machine.ts'

/** One copy of a block, and its holder. */
export interface Copy<Holder> {
  readonly holder: Holder
  readonly version: BlockVersion
  readonly damaged: boolean
}

/**
 * The good copies in the order in which they are tried (A2.17-3): of each block the highest version with a good
 * checksum. Of one version the first holder comes first.
 */
export function byVersion<Holder>(copies: readonly Copy<Holder>[]): Copy<Holder>[] {
  const good = copies.filter(({ damaged }) => !damaged)
  return good.sort((a, b) => (isHigher(a.version, b.version) ? -1 : sameVersion(a.version, b.version) ? 0 : 1))
}

/** What one store holds of a leaf, and which blocks of it are damaged there. */
export interface HeldLeaf<Holder> {
  readonly holder: Holder
  readonly versions: LeafVersions['versions']
  readonly damaged: ReadonlySet<BlockIndex>
}

/** Every block of a leaf of which any of these stores has a version, with its copies in the order of the stores. */
export function copiesOf<Holder>(leaves: readonly HeldLeaf<Holder>[]): Map<BlockIndex, Copy<Holder>[]> {
  const blocks = new Map<BlockIndex, Copy<Holder>[]>()
  for (const { holder, versions, damaged } of leaves) {
    for (const version of versions) {
      const copies = blocks.get(version.block)
      const copy = { holder, version, damaged: damaged.has(version.block) }
      if (copies === undefined) blocks.set(version.block, [copy])
      else copies.push(copy)
    }
  }
  return blocks
}

/**
 * Dedupe windows of stores whose copies were reconciled (amendment 13): an operation that any of them remembers is in
 * the result. Where one has an operation as applied and another as cancelled, the later of the two counts, by seq.
 */
export function reconcileWindows(windows: readonly SessionWindow[]): SessionWindow[] {
  const sessions = new Map<SessionWindow['session'], SessionWindow[]>()
  for (const window of windows) sessions.set(window.session, [...(sessions.get(window.session) ?? []), window])
  return [...sessions].map(([session, known]) => {
    const lowMark = Math.max(...known.map((window) => window.lowMark))
    const applied = new Map<number, { entry: SessionWindow['applied'][number]; cancelled: boolean }>()
    for (const window of known) {
      const cancelled = new Set(window.cancelled)
      for (const entry of window.applied) {
        const [op, seq] = entry
        const before = applied.get(op)
        if (op >= lowMark && (before === undefined || before.entry[1] < seq))
          applied.set(op, { entry, cancelled: cancelled.has(op) })
      }
    }
    const ops = [...applied.values()].sort((a, b) => a.entry[0] - b.entry[0])
    return {
      session,
      generation: Math.max(...known.map(({ generation }) => generation)),
      lowMark,
      applied: ops.map(({ entry }) => entry),
      cancelled: ops.filter(({ cancelled }) => cancelled).map(({ entry }) => entry[0]),
    }
  })
}
