import assert from 'node:assert/strict'
import type { Epoch, ExtentRecord, StoreId } from '@ashlar/proto'
import { World } from './kit.ts'

/** Three stores a, b and c that share one extent; a is its active primary. */
export function active(options: ConstructorParameters<typeof World>[1] = {}): World {
  const world = new World(['a', 'b', 'c'], options)
  world.publish()
  world.settle()
  assert.ok(world.host('a').events.some((event) => event.what === 'extent-active'))
  return world
}

/** Control names this store primary in the next epoch, with these sets; what follows is still to settle. */
export function name(world: World, store: string, sets: Partial<Pick<ExtentRecord, 'inSync' | 'eligible'>>): void {
  const { counter } = world.host(store)
  const epoch = (world.record.epoch + 1) as Epoch
  world.change({ epoch, primary: { store: store as StoreId, counter }, ...sets })
}

/** The same, and all that follows at once. */
export function lead(world: World, store: string, inSync: readonly string[]): void {
  name(world, store, { inSync: inSync as StoreId[] })
  world.settle()
}
