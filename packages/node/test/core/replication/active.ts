import assert from 'node:assert/strict'
import { World } from './kit.ts'

/** Three stores a, b and c that share one extent; a is its active primary. */
export function active(options: ConstructorParameters<typeof World>[1] = {}): World {
  const world = new World(['a', 'b', 'c'], options)
  world.publish()
  world.settle()
  assert.ok(world.host('a').facts.some((fact) => fact.what === 'extent-active'))
  return world
}
