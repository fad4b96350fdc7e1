import { crc32 } from 'node:zlib'
import type { ClientCall, ClientOutcome, DiscardKind, VolumeHandle } from '@ashlar/client/core'
import { type AttachMode, type AttachPolicy, type Bytes, splitBlocks } from '@ashlar/proto'
import type { Ending, History } from '../../kit/history/recorder.ts'
import { ZERO } from '../../kit/history/register-check.ts'
import { BLOCK_BYTES, type SimulationOptions } from '../options.ts'
import type { Chance } from '../world/chance.ts'
import type { ClientHost, ClientProcess } from '../world/client-host.ts'
import type { Clock } from '../world/time.ts'
import { CELL_BYTES, stamped, valuesOf } from './stamps.ts'

export const VOLUME_NAME = 'disk'

/** What the drivers of all clients share. */
export interface DriverWorld {
  readonly clock: Clock
  readonly chance: Chance
  readonly options: SimulationOptions
  readonly history: History
  /** Of flushes alone, so that they do not shift what else is drawn. */
  readonly flushChance: Chance
  /** Of policies of opens alone, for the same reason. */
  readonly policyChance: Chance
  violation(rule: string, text: string): void
  /** A value that no write had before. */
  nextValue(): number
}

/**
 * What one program does with its volume: opens it, keeps some calls in flight until its session is over, then opens
 * it again. Every call goes into the history.
 */
export class ClientDriver {
  readonly mode: AttachMode
  private readonly host: ClientHost
  private readonly world: DriverWorld
  /** The open volume, with the process that holds it. */
  private session: Session | undefined
  private quiet = false
  /** Calls without an outcome yet, of the running process. */
  pending = 0
  /** Calls that failed, by code. */
  readonly failures = new Map<string, number>()

  constructor(host: ClientHost, mode: AttachMode, world: DriverWorld) {
    this.host = host
    this.mode = mode
    this.world = world
  }

  /** Opens the volume and begins to work, after so long. */
  start(afterMs: number): void {
    this.world.clock.after(afterMs, () => this.open((session) => this.begin(session)))
  }

  /** No new calls from here on. */
  stop(): void {
    this.quiet = true
  }

  /** What the process had open is over: it died. */
  forget(): void {
    this.session = undefined
    this.pending = 0
  }

  crash(): void {
    this.forget()
    this.host.crashAndRestart()
    this.start(this.world.chance.between(10, 1000))
  }

  /**
   * One last write and read, now that everything works, as often as it takes: a session may have been taken over, and a
   * connection may still be in flight. Where disks have an end, the write is one that needs new space. `then` is called
   * once all succeeded.
   */
  prove(then: () => void): void {
    const range = { offset: this.world.options.hotOffset, length: BLOCK_BYTES }
    this.open((session) => {
      const done = (outcome: ClientOutcome): void => {
        if (outcome.ok) return then()
        if (isOver(outcome)) this.session = undefined
        this.prove(then)
      }
      const read = (): void => this.read(session, range, done)
      if (this.mode === 'read-only') return read()
      const write = (): number => this.write(session, range, (outcome) => (outcome.ok ? read() : done(outcome)))
      if (this.world.options.space === undefined) return void write()
      this.discard(session, range, (outcome) => (outcome.ok ? write() : done(outcome)))
    })
  }

  get process(): ClientProcess {
    return this.host.process
  }

  /** One read or write, as often as it takes until it succeeds. */
  insist(what: 'read' | 'write', range: Range, then: () => void): void {
    this.open((session) => {
      const done = (outcome: ClientOutcome): void => {
        if (outcome.ok) return then()
        if (isOver(outcome) && this.session === session) this.session = undefined
        this.insist(what, range, then)
      }
      if (what === 'read') this.read(session, range, done)
      else this.write(session, range, done)
    })
  }

  /** One write that is abandoned after so long, if it has not ended. False where the volume is not open. */
  writeAndGiveUp(range: Range, afterMs: number): boolean {
    const { session } = this
    if (session === undefined || session.over) return false
    const token = this.write(session, range, () => {})
    this.world.clock.after(afterMs, () => session.process.abandon(token))
    return true
  }

  /** Closes the volume, so that the next call opens it again. */
  leave(): void {
    const { session } = this
    this.session = undefined
    if (session === undefined) return
    session.over = true
    this.call(session.process, { do: 'close', volume: session.handle }, () => {})
    this.start(this.world.chance.between(0, 100))
  }

  get hasVolume(): boolean {
    return this.session !== undefined
  }

  /** Calls back with the open volume, once it is open: at once when it is already. */
  private open(then: (session: Session) => void): void {
    const { process } = this.host
    if (this.session !== undefined) return then(this.session)
    const policy = this.policy()
    const at = Math.floor(this.world.clock.now)
    const open = { do: 'open', name: VOLUME_NAME, mode: this.mode, policy, at } as const
    this.call(process, open, (outcome) => {
      if (process !== this.host.process) return
      if (outcome.ok && outcome.result.kind === 'opened') {
        this.session = { process, handle: outcome.result.handle, over: false, changing: new Set() }
        return then(this.session)
      }
      this.world.clock.after(this.world.chance.between(200, 1500), () => this.open(then))
    })
  }

  /** Most opens take the volume, so that sessions end in the middle of their work. */
  private policy(): AttachPolicy {
    const { options, policyChance } = this.world
    if (options.policies !== true || this.quiet || policyChance.happens(0.7)) return 'take'
    return policyChance.pick<AttachPolicy>(['free', 'silent', 'silent', 'resume'])
  }

  private begin(session: Session): void {
    for (let worker = 0; worker < this.world.options.workload.depth; worker++) this.work(session)
    if (this.mode !== 'read-only') this.flushLater(session)
  }

  private flushLater(session: Session): void {
    const { clock, flushChance, options } = this.world
    const { flushEveryMs } = options.workload
    if (flushEveryMs === 0) return
    clock.after(flushChance.between(0, 2 * flushEveryMs), () => {
      if (!this.quiet && !session.over && this.session === session) this.flush(session)
    })
  }

  /**
   * When a flush is answered, every write that was handed over before it has ended: it is there, or its caller knows
   * more.
   */
  private flush(session: Session): void {
    const before = [...session.changing]
    this.call(session.process, { do: 'flush', volume: session.handle }, (outcome) => {
      const left = before.filter((change) => session.changing.has(change))
      if (outcome.ok && left.length > 0) {
        this.world.violation('flushed', `a flush was answered before ${left.length} writes that came before it`)
      }
      this.flushLater(session)
    })
  }

  private work(session: Session): void {
    if (this.quiet || session.over || this.session !== session) return
    const { chance, options, clock } = this.world
    const { workload } = options
    const then = (outcome: ClientOutcome): void => {
      if (!outcome.ok) this.noteFailure(session, outcome)
      clock.after(chance.between(0, workload.thinkMs * 2), () => this.work(session))
    }
    if (this.mode === 'read-only' || !chance.happens(workload.writeShare)) return this.read(session, this.range(), then)
    if (chance.happens(workload.discardShare)) return this.discard(session, this.range(), then)
    this.write(session, this.range(), then)
  }

  private range(): Range {
    const { chance, options } = this.world
    const { workload, hotOffset, hotBytes, hotStrideBytes: stride = BLOCK_BYTES } = options
    const blocks = Math.ceil(hotBytes / stride)
    const first = chance.integer(0, blocks - 1)
    if (chance.happens(workload.partialShare)) {
      const half = chance.integer(0, 1)
      return { offset: hotOffset + first * stride + half * CELL_BYTES, length: CELL_BYTES }
    }
    const count = chance.integer(1, Math.min(workload.mostBlocks, blocks - first))
    return { offset: hotOffset + first * stride, length: count * BLOCK_BYTES }
  }

  private write(session: Session, range: Range, then: (outcome: ClientOutcome) => void): number {
    const value = this.world.nextValue()
    const bytes = stamped(value, range.length)
    const parts = splitBlocks(BLOCK_BYTES, range.offset, range.length)
    const checksums = parts.map((part) => crc32(bytes.subarray(part.at, part.at + part.length)))
    return this.change(
      session,
      range,
      value,
      { do: 'write', volume: session.handle, offset: range.offset, bytes, checksums },
      then,
    )
  }

  private discard(session: Session, range: Range, then: (outcome: ClientOutcome) => void): void {
    const kind = this.world.chance.pick<DiscardKind>(['trim', 'zero'])
    this.change(session, range, ZERO, { do: 'discard', volume: session.handle, ...range, kind }, then)
  }

  private change(
    session: Session,
    range: Range,
    value: number,
    call: ClientCall,
    then: (outcome: ClientOutcome) => void,
  ): number {
    const end = this.world.history.beginWrite(cellsOf(range), value, session)
    session.changing.add(end)
    return this.call(session.process, call, (outcome) => {
      session.changing.delete(end)
      end(endingOf(outcome))
      then(outcome)
    })
  }

  private read(session: Session, range: Range, then: (outcome: ClientOutcome) => void): void {
    const end = this.world.history.beginRead(cellsOf(range))
    this.call(session.process, { do: 'read', volume: session.handle, ...range }, (outcome) => {
      if (outcome.ok && outcome.result.kind === 'bytes') {
        const values = valuesOf(outcome.result.bytes)
        if (values.includes(undefined)) this.world.violation('torn', `a read at ${range.offset} returned a torn write`)
        else end(values as number[])
      }
      then(outcome)
    })
  }

  /** A call of one process; its outcome counts only while that process runs. */
  private call(process: ClientProcess, call: ClientCall, then: (outcome: ClientOutcome) => void): number {
    this.pending++
    return process.call(call, (outcome) => {
      this.pending--
      if (!outcome.ok) this.failures.set(outcome.failure.code, (this.failures.get(outcome.failure.code) ?? 0) + 1)
      then(outcome)
    })
  }

  private noteFailure(session: Session, outcome: ClientOutcome & { ok: false }): void {
    if (!isOver(outcome)) return
    session.over = true
    if (this.session !== session) return
    this.session = undefined
    if (!this.quiet) this.start(this.world.chance.between(500, 8000))
  }
}

interface Session {
  readonly process: ClientProcess
  readonly handle: VolumeHandle
  over: boolean
  /** Writes and erasures that have not ended. */
  readonly changing: Set<object>
}

interface Range {
  readonly offset: Bytes
  readonly length: Bytes
}

function cellsOf({ offset, length }: Range): number[] {
  const cells: number[] = []
  for (let at = offset; at < offset + length; at += CELL_BYTES) cells.push(at / CELL_BYTES)
  return cells
}

function endingOf(outcome: ClientOutcome): Ending {
  if (outcome.ok) return 'done'
  const { details } = outcome.failure
  return details?.['indeterminate'] === false && details['partial'] !== true ? 'never' : 'unknown'
}

/** The session ended with it: another client has the volume now. */
function isOver(outcome: ClientOutcome & { ok: false }): boolean {
  return ['FENCED', 'CLOSED', 'NOT_FOUND'].includes(outcome.failure.code)
}
