import { crc32 } from 'node:zlib'
import type { ClientCall, ClientOutcome } from '@ashlar/client/core'
import { type ExtentRecord, LIMITS } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import { stamped } from '../workload/stamps.ts'
import type { ClientProcess } from '../world/client-host.ts'
import { NotFollowed, Stage } from './stage.ts'

const EXTENT_BYTES = 4096 * BLOCK_BYTES
/** No call to an extent that is served may take so long. */
const LONGEST_MS = 2000
/** Where callers work: behind the bytes of the clients of every schedule, which know of no one else. */
const OWN_BYTES = 64 * BLOCK_BYTES
/** More than any window, share or queue of one extent holds. */
const MANY = LIMITS.sessionOps + 200

/**
 * A volume has two extents on different nodes, and those of the first die. Callers go on to write, read and discard in
 * it, more than there is room for; what they do in the second goes on all the same, however long that lasts (amendment
 * 30).
 */
export function deadExtent(): readonly Violation[] {
  const stage = Stage.where(areApart, {
    nodes: 5,
    replicas: 2,
    minInSync: 2,
    sharing: 'shared',
    sizeBytes: 2 * EXTENT_BYTES,
    extentSizeBytes: EXTENT_BYTES,
    ioTimeoutMs: 60_000,
  })
  const { world } = stage
  world.stopClients()
  stage.run(2000)
  const [client] = world.clients
  const [dead] = extentsOf(stage)
  if (client === undefined || dead === undefined) throw new NotFollowed('there is no client or no extent')
  const volume = opened(stage, client.process)
  const caller = new Caller(stage, client.process, volume)
  caller.write(EXTENT_BYTES, () => {})
  stage.until('it writes', () => caller.done === 1)
  for (const node of world.nodes) if (dead.assigned.includes(node.disk.store)) node.crash({ powerLoss: false })
  stage.run(3000)
  caller.write(OWN_BYTES, undefined)
  for (let call = 0; call < 4; call++) caller.trim(1024 * BLOCK_BYTES, undefined)
  for (let call = 0; call < MANY; call++) caller.read(OWN_BYTES + (call % 512) * BLOCK_BYTES, undefined)
  for (let call = 0; call < MANY; call++) caller.write(OWN_BYTES + (call % 512) * BLOCK_BYTES, undefined)
  for (const what of ['write', 'read', 'trim'] as const) caller.repeat(what, EXTENT_BYTES, 2 * MANY, 16)
  stage.expect('calls of the other extent go on', () => caller.repeated === 0, 60_000)
  if (caller.longestMs > LONGEST_MS) {
    world.checkers.violation('liveness', `a call of an extent that is served took ${caller.longestMs.toFixed(0)} ms`)
  }
  return stage.finish()
}

function extentsOf({ world }: Stage): ExtentRecord[] {
  return [...world.checkers.truth.map.extents.values()].toSorted((a, b) => a.id - b.id)
}

/** Its extents have no store in common, and the voter none of the first. */
function areApart(stage: Stage): boolean {
  const [first, second] = extentsOf(stage)
  if (first === undefined || second === undefined) return false
  return !first.assigned.some((store) => second.assigned.includes(store) || store === stage.voter.disk.store)
}

function opened(stage: Stage, process: ClientProcess): number {
  let handle: number | undefined
  process.call({ do: 'open', name: 'disk', mode: 'shared', policy: 'take' }, (outcome) => {
    if (outcome.ok && outcome.result.kind === 'opened') handle = outcome.result.handle
  })
  stage.until('the volume is open', () => handle !== undefined)
  return handle as number
}

/** Makes calls, and measures those that a caller waits for. */
class Caller {
  done = 0
  /** Of repeated calls, those that are not over. */
  repeated = 0
  longestMs = 0
  private readonly stage: Stage
  private readonly process: ClientProcess
  private readonly volume: number

  constructor(stage: Stage, process: ClientProcess, volume: number) {
    this.stage = stage
    this.process = process
    this.volume = volume
  }

  write(offset: number, then: (() => void) | undefined): void {
    const bytes = stamped(7_000_000, BLOCK_BYTES)
    this.call({ do: 'write', volume: this.volume, offset, bytes, checksums: [crc32(bytes)] }, then)
  }

  read(offset: number, then: (() => void) | undefined): void {
    this.call({ do: 'read', volume: this.volume, offset, length: BLOCK_BYTES }, then)
  }

  trim(offset: number, then: (() => void) | undefined): void {
    this.call({ do: 'discard', volume: this.volume, offset, length: 512 * BLOCK_BYTES, kind: 'trim' }, then)
  }

  /** So many calls of one kind from `offset` on, some of them at once. */
  repeat(what: 'write' | 'read' | 'trim', offset: number, count: number, atOnce: number): void {
    this.repeated += count
    let left = count
    const next = (): void => {
      if (left === 0) return
      left--
      this[what](offset + (what === 'trim' ? 2048 : left % 512) * BLOCK_BYTES, () => {
        this.repeated--
        next()
      })
    }
    for (let call = 0; call < atOnce; call++) next()
  }

  private call(call: ClientCall, then: (() => void) | undefined): void {
    const { clock } = this.stage.world
    const begun = clock.now
    this.process.call(call, (outcome: ClientOutcome) => {
      if (then === undefined) return
      if (!outcome.ok) this.stage.world.checkers.violation('liveness', `${call.do}: ${outcome.failure.message}`)
      this.done++
      this.longestMs = Math.max(this.longestMs, clock.now - begun)
      then()
    })
  }
}
