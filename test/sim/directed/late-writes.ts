import { crc32 } from 'node:zlib'
import type { ClientOutcome } from '@ashlar/client/core'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import { stamped, valuesOf } from '../workload/stamps.ts'
import { Stage } from './stage.ts'

/**
 * 1. Two of three replicas die, and the third one leads, but may not serve yet. A client writes to it; that message is
 *    held up, its connection is closed, and over the next one the write is answered WAIT until its caller hears that it
 *    may or may not take effect. So is its CANCEL.
 * 2. The client writes the same block again. A second replica comes back, and the primary serves.
 * 3. When that write is acknowledged the first message of the other one comes. It must not take effect any more
 *    (A3-25).
 */
export function lateWrite(): readonly Violation[] {
  const stage = Stage.where(({ record, voter }) => !record.assigned.includes(voter.disk.store), {
    nodes: 4,
    minInSync: 2,
    sharing: 'shared',
    ioTimeoutMs: 1000,
  })
  const { world } = stage
  world.stopClients()
  stage.run(2000)
  const [client] = world.clients
  if (client === undefined) throw new Error('there is no client')
  const { process } = client
  let volume: number | undefined
  process.call({ do: 'open', name: 'disk', mode: 'shared', policy: 'take' }, (outcome) => {
    if (outcome.ok && outcome.result.kind === 'opened') volume = outcome.result.handle
  })
  stage.until('the volume is open', () => volume !== undefined)
  const write = (value: number): { outcome?: ClientOutcome } => {
    const bytes = stamped(value, BLOCK_BYTES)
    const end = world.history.beginWrite([2, 3], value, client)
    const call: { outcome?: ClientOutcome } = {}
    process.call(
      { do: 'write', volume: volume ?? 0, offset: BLOCK_BYTES, bytes, checksums: [crc32(bytes)] },
      (outcome) => {
        call.outcome = outcome
        end(outcome.ok ? 'done' : 'unknown')
      },
    )
    return call
  }
  const { successor, primary } = stage
  const third = stage.world.nodes.find(
    (node) => ![primary, successor, stage.voter].includes(node) && stage.record.assigned.includes(node.disk.store),
  )
  for (const node of [primary, third]) node?.crash({ powerLoss: false })
  stage.until('the third one leads', () => stage.primary === successor && stage.record.inSync.length === 1).run(1000)
  const held = world.network.holdBack(process, successor.name)
  const first = write(1_000_001)
  stage.run(20)
  held?.lose()
  stage.until('the first write has failed', () => first.outcome !== undefined)
  let last = 1_000_002
  let second = write(last)
  stage.run(100)
  third?.start()
  stage.until('a later write is acknowledged', () => {
    if (second.outcome?.ok === false) second = write(++last)
    return second.outcome?.ok === true
  })
  held?.release()
  stage.run(500)
  const end = world.history.beginRead([2, 3])
  process.call({ do: 'read', volume: volume ?? 0, offset: BLOCK_BYTES, length: BLOCK_BYTES }, (outcome) => {
    if (outcome.ok && outcome.result.kind === 'bytes') end(valuesOf(outcome.result.bytes) as number[])
  })
  return stage.run(1000).finish()
}
