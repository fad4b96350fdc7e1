import type { Bytes } from './units.ts'

/**
 * Free space of a store, measured by its own reserves (A2.19-1). Each level refuses what the one before refuses, and
 * more:
 *
 * - `free`: nothing is refused.
 * - `filling`: no new extents are placed on it.
 * - `tight`: no write of a client makes a block there that was not there, and no empty replica is filled there.
 * - `full`: clients and copies write only what frees space. Writes that the primary has ordered are always executed.
 */
export const STORE_SPACES = ['free', 'filling', 'tight', 'full'] as const
export type StoreSpace = (typeof STORE_SPACES)[number]

/** True when a store of `space` refuses at least what one of `at` refuses. */
export function isAtLeast(space: StoreSpace, at: StoreSpace): boolean {
  return STORE_SPACES.indexOf(space) >= STORE_SPACES.indexOf(at)
}

/** What a store reports of its free space. */
export interface SpaceReport {
  readonly space: StoreSpace
  readonly freeBytes: Bytes
}
