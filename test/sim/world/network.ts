import type { Message } from '@ashlar/proto'

import { isUrgent, LIMITS, TIMERS, URGENT_LANE_WIRE, WIRE_VERSION } from '@ashlar/proto'
import { decodeFrame, encodeFrame, messageBytes } from '@ashlar/proto/codec'
import { Uplinks } from './bandwidth.ts'

import type { Chance } from './chance.ts'
import {
  END,
  type End,
  type Endpoint,
  type Frame,
  type Hello,
  type Lane,
  makeConnection,
  type Pipe,
  sizeOf,
} from './connection.ts'
import type { Clock } from './time.ts'

/**
 * The network: connections between processes, as TCP gives them. A connection carries frames in order, whole or not at
 * all. What it can do wrong:
 * - delay, with a tail; a connection that lags by seconds while a newer one is quick (reordering between connections);
 * - a connection that breaks, with what was in flight lost, and each end learning of it at its own time (half-open);
 * - a cut, one-way or both ways: frames wait, and either come late when it heals or die with their connection;
 * - a host that dies silently: its peers go on sending until they notice;
 * - a way out of a host that is no faster than it is: what is sent waits for what was sent before, by its size.
 * A frame of a connection whose end is closed is never delivered there.
 */
export class Network {
  private readonly clock: Clock
  private readonly chance: Chance
  private readonly faults: NetworkFaults
  private readonly listeners = new Map<string, () => Endpoint | undefined>()
  private readonly dialers = new Map<Endpoint, Map<string, Dial>>()
  private readonly ends = new Map<Endpoint, Map<number, End>>()
  private readonly dirty = new Set<Pipe>()
  private cuts: readonly Cut[] = []
  /** Milliseconds by which frames between two hosts are late, by `from>to`. */
  private readonly lags = new Map<string, number>()
  private calm = true
  /** Absent: nothing waits for anything. */
  readonly uplinks: Uplinks | undefined
  /** A frame held what its wire version does not have. */
  onNewerBytes: (text: string) => void = () => {}
  /** Most bytes that waited on one connection. */
  highestQueueBytes = 0

  constructor(clock: Clock, chance: Chance, faults: NetworkFaults) {
    this.clock = clock
    this.chance = chance
    this.faults = faults
    if (faults.bytesPerMs !== undefined) this.uplinks = new Uplinks(clock, faults.bytesPerMs)
  }

  /** The process that listens at an address, now: looked up again for every connection. */
  listen(address: string, endpoint: () => Endpoint | undefined): void {
    this.listeners.set(address, endpoint)
  }

  /** While calm nothing is lost and nothing has a tail; cuts are separate. */
  setCalm(calm: boolean): void {
    this.calm = calm
  }

  /** Replaces all cuts. */
  setCuts(cuts: readonly Cut[]): void {
    this.cuts = cuts
    for (const ends of this.ends.values()) {
      for (const end of ends.values()) {
        if (end.pipe.stalled !== undefined && !this.isCut(end.pipe)) this.resume(end.pipe)
      }
    }
  }

  setDialed(endpoint: Endpoint, addresses: readonly string[]): void {
    const dials = this.dialsOf(endpoint)
    for (const [address, dial] of dials) {
      if (addresses.includes(address)) continue
      dials.delete(address)
      if (dial.end !== undefined) this.closeEnd(dial.end)
    }
    for (const address of addresses) {
      if (dials.has(address)) continue
      const dial: Dial = { address }
      dials.set(address, dial)
      this.attempt(endpoint, dial)
    }
  }

  send(endpoint: Endpoint, link: number, message: Message): void {
    const end = this.ends.get(endpoint)?.get(link)
    if (end === undefined || end.state !== 'up') return
    const pipe = end.pipe
    pipe.queuedBytes += sizeOf(message)
    if (pipe.queuedBytes > this.highestQueueBytes) this.highestQueueBytes = pipe.queuedBytes
    const limit = this.uplinks === undefined ? LIMITS.linkHighBytes : LIMITS.linkCutBytes
    if (pipe.queuedBytes > limit) return this.closeEnd(end)
    pipe.outbox.push(message)
    this.dirty.add(pipe)
  }

  /** Sends what was queued since the last flush: one frame a connection. */
  flush(): void {
    for (const pipe of this.dirty) {
      const messages = pipe.outbox
      pipe.outbox = []
      if (messages.length > 0) this.ship(pipe, messages)
    }
    this.dirty.clear()
  }

  closeLink(endpoint: Endpoint, link: number): void {
    const end = this.ends.get(endpoint)?.get(link)
    if (end !== undefined) this.closeEnd(end)
  }

  /**
   * A process ended. Not silent: its kernel closes its connections, and what it had sent may still arrive. Silent: the
   * host lost power, and the others find out by themselves.
   */
  processEnded(endpoint: Endpoint, silent: boolean): void {
    this.dialers.delete(endpoint)
    const ends = this.ends.get(endpoint)
    this.ends.delete(endpoint)
    for (const end of ends?.values() ?? []) {
      end.state = 'closed'
      const lost = silent || this.chance.happens(0.5)
      if (lost) end.pipe.broken = true
      else this.shipEnd(end.pipe)
      if (silent) this.endDownLater(end.other, this.chance.between(1000, 20_000))
      else if (lost) this.endDownLater(end.other, this.delay())
    }
  }

  /** Breaks one connection of this process, if it has any. */
  breakOne(endpoint: Endpoint): void {
    const end = this.anyEnd(endpoint)
    if (end !== undefined) this.breakConnection(end)
  }

  /** Makes everything that one process sends over one connection late by so much, in order. */
  lag(endpoint: Endpoint, lateMs: number): void {
    const end = this.anyEnd(endpoint)
    if (end === undefined) return
    const lane = this.lanesOf(end.pipe) && this.chance.happens(0.5) ? end.pipe.urgent : end.pipe.bulk
    lane.lastAt = Math.max(lane.lastAt, this.clock.now + lateMs)
  }

  /** Makes every frame from one host to another late by so much, on every connection, until it is set to 0. */
  setLag(from: string, to: string, lateMs: number): void {
    this.lags.set(`${from}>${to}`, lateMs)
  }

  /**
   * What a process sends over the connection that it has with a host waits from now on, until the function is called
   * that this returns; undefined without one. After `lose` it believes that connection gone and makes another one,
   * which is quick.
   */
  holdBack(endpoint: Endpoint, host: string): { lose(): void; release(): void } | undefined {
    const ends = [...(this.ends.get(endpoint)?.values() ?? [])]
    const end = ends.find(
      ({ state, other, pipe }) => state === 'up' && other.endpoint.host === host && pipe.stalled === undefined,
    )
    if (end === undefined) return undefined
    const held: Frame[] = []
    end.pipe.stalled = held
    return {
      lose: () => this.closeEnd(end),
      release: () => {
        if (end.pipe.stalled !== held) return
        end.pipe.stalled = undefined
        for (const frame of held) this.arrive(end.pipe, frame)
      },
    }
  }

  /** Breaks the connections between this process and a host. */
  breakAll(endpoint: Endpoint, host: string): void {
    for (const end of this.ends.get(endpoint)?.values() ?? []) {
      if (end.other.endpoint.host === host) this.breakConnection(end)
    }
  }

  private anyEnd(endpoint: Endpoint): End | undefined {
    const ends = [...(this.ends.get(endpoint)?.values() ?? [])].filter((end) => end.state === 'up')
    return ends.length === 0 ? undefined : this.chance.pick(ends)
  }

  // ---- dialing ----------------------------------------------------------------------------------------------------

  private dialsOf(endpoint: Endpoint): Map<string, Dial> {
    let dials = this.dialers.get(endpoint)
    if (dials === undefined) {
      dials = new Map()
      this.dialers.set(endpoint, dials)
    }
    return dials
  }

  private attempt(endpoint: Endpoint, dial: Dial): void {
    const attempt: Attempt = { endpoint, dial }
    dial.attempt = attempt
    this.fail(attempt, 'no answer', TIMERS.handshakeMs)
    this.clock.after(this.delay(), () => {
      if (!this.current(attempt)) return
      const target = this.listeners.get(dial.address)?.()
      if (target === undefined) return this.fail(attempt, 'no process listens', this.delay())
      if (!this.cutBetween(endpoint.host, target.host)) target.run(() => this.accept(attempt, target))
    })
  }

  /**
   * The hello has arrived and fits: the accepting side is up from here on, the dialing side when the welcome is back.
   */
  private accept(attempt: Attempt, target: Endpoint): void {
    if (!this.current(attempt)) return
    const dialer = attempt.endpoint
    if (target.refuses?.(dialer.hello()) === true) return this.fail(attempt, 'refused', this.delay())
    const dialed = makeConnection(dialer, target)
    const accepted = dialed.other
    const welcomeMs = this.delay()
    // What the accepting side sends at once must not overtake its welcome.
    accepted.pipe.bulk.lastAt = accepted.pipe.urgent.lastAt = this.clock.now + welcomeMs
    accepted.state = 'up'
    this.endsOf(target).set(accepted.link, accepted)
    target.linkUp(accepted.link, 'in', this.peerOf(accepted), '')
    this.clock.after(welcomeMs, () => {
      const answers = !this.cutBetween(target.host, dialer.host) && target.alive() && accepted.state === 'up'
      if (answers && this.current(attempt)) return dialer.run(() => this.welcome(attempt, dialed))
      dialed.state = 'closed'
      this.endDownLater(accepted, this.chance.between(0, TIMERS.handshakeMs))
    })
  }

  private welcome(attempt: Attempt, dialed: End): void {
    // It may have broken while the dialing host paused; the attempt then ends by its timeout.
    const refused = dialed.endpoint.refuses?.(dialed.other.endpoint.hello()) === true
    if (refused) this.fail(attempt, 'refused', 0)
    if (refused || !this.current(attempt) || dialed.state !== 'waiting') {
      dialed.state = 'closed'
      return this.endDownLater(dialed.other, this.delay())
    }
    delete attempt.dial.attempt
    attempt.dial.end = dialed
    dialed.state = 'up'
    this.endsOf(dialed.endpoint).set(dialed.link, dialed)
    dialed.endpoint.linkUp(dialed.link, 'out', this.peerOf(dialed), attempt.dial.address)
  }

  private peerOf({ other, pipe }: End): Hello {
    const peer = { ...other.endpoint.hello(), wire: pipe.wire }
    return peer.kind === 'node' && this.lanesOf(pipe) ? { ...peer, urgentLane: true } : peer
  }

  private current(attempt: Attempt): boolean {
    const { endpoint, dial } = attempt
    return dial.attempt === attempt && this.dialers.get(endpoint)?.get(dial.address) === dial
  }

  private fail(attempt: Attempt, reason: string, afterMs: number): void {
    this.clock.after(afterMs, () => {
      if (!this.current(attempt)) return
      delete attempt.dial.attempt
      attempt.endpoint.run(() => attempt.endpoint.dialFailed(attempt.dial.address, reason))
      this.redial(attempt.endpoint, attempt.dial)
    })
  }

  private redial(endpoint: Endpoint, dial: Dial): void {
    this.clock.after(this.chance.between(TIMERS.redialMinMs, this.calm ? 200 : TIMERS.redialMaxMs), () => {
      const wanted = this.dialers.get(endpoint)?.get(dial.address) === dial
      if (wanted && dial.end === undefined && dial.attempt === undefined) this.attempt(endpoint, dial)
    })
  }

  private endsOf(endpoint: Endpoint): Map<number, End> {
    let ends = this.ends.get(endpoint)
    if (ends === undefined) {
      ends = new Map()
      this.ends.set(endpoint, ends)
    }
    return ends
  }

  // ---- frames -----------------------------------------------------------------------------------------------------

  private ship(pipe: Pipe, messages: readonly Message[]): void {
    if (pipe.broken) return
    if (!this.calm && this.chance.happens(this.faults.lossPerFrame)) return this.breakConnection(pipe.end)
    const urgent = this.lanesOf(pipe) ? messages.filter(isUrgent) : []
    if (urgent.length > 0) this.sendOver(pipe, pipe.urgent, urgent)
    const others = urgent.length > 0 ? messages.filter((message) => !isUrgent(message)) : messages
    if (others.length > 0) this.sendOver(pipe, pipe.bulk, others)
  }

  private sendOver(pipe: Pipe, lane: Lane, messages: readonly Message[]): void {
    const leave = (): void => {
      lane.lastAt = Math.max(lane.lastAt, this.clock.now + this.delay() + this.lagOf(pipe))
      const arriving = this.faults.encoded ? this.throughCodec(messages, pipe) : messages
      if (arriving === undefined) return this.closeEnd(pipe.end)
      this.clock.at(lane.lastAt, () => this.arrive(pipe, arriving))
    }
    if (this.uplinks === undefined) return leave()
    const bytes = messages.reduce((sum, message) => sum + messageBytes(message), PACKET_HEADERS_BYTES)
    this.uplinks.send(pipe.end.endpoint.host, lane.backlog, bytes, { lost: () => pipe.broken, sent: leave })
  }

  /**
   * As the other side reads it. What a frame of an older version holds beyond that version its reader does not see:
   * written again, it would be another frame. Undefined: it cannot be written, and the link closes. That may be
   * where the older build at the other end is gone and the link to it is not noticed to be dead, since others have
   * raised the level meanwhile.
   */
  private throughCodec(messages: readonly Message[], pipe: Pipe): Message[] | undefined {
    const { wire, end } = pipe
    let frame: Uint8Array
    try {
      frame = encodeFrame(messages, wire)
    } catch (error) {
      if (end.other.endpoint.alive()) this.onNewerBytes(error instanceof Error ? error.message : String(error))
      return undefined
    }
    const read = decodeFrame(frame, wire) as Message[]
    if (wire < WIRE_VERSION && !sameBytes(frame, encodeFrame(read, wire)))
      this.onNewerBytes(`a frame of wire version ${wire} holds what that version does not have: ${messages[0]?.type}`)
    return read
  }

  private shipEnd(pipe: Pipe): void {
    const { bulk, urgent } = pipe
    const leave = (): void => {
      bulk.lastAt = Math.max(bulk.lastAt, urgent.lastAt, this.clock.now + this.delay())
      this.clock.at(bulk.lastAt, () => this.arrive(pipe, END))
    }
    if (this.uplinks === undefined) return leave()
    const how = { lost: () => pipe.broken, sent: leave }
    this.uplinks.send(pipe.end.endpoint.host, bulk.backlog, PACKET_HEADERS_BYTES, how)
  }

  /**
   * Two nodes send what is urgent over a lane of its own, if they know how to (amendment 36); a client has one lane.
   */
  private lanesOf({ end, wire }: Pipe): boolean {
    if (this.faults.lanes !== true || wire < URGENT_LANE_WIRE) return false
    return end.endpoint.hello().kind === 'node' && end.other.endpoint.hello().kind === 'node'
  }

  private arrive(pipe: Pipe, frame: Frame): void {
    if (pipe.broken) return
    if (pipe.stalled !== undefined) pipe.stalled.push(frame)
    else if (this.isCut(pipe)) this.stall(pipe, frame)
    else this.deliver(pipe, frame)
  }

  private deliver(pipe: Pipe, frame: Frame): void {
    const end = pipe.end.other
    if (frame === END) return this.endDownLater(end, 0)
    for (const message of frame) pipe.queuedBytes -= sizeOf(message)
    // The sender learns from the answer to its frame that the process has ended.
    if (!end.endpoint.alive()) return this.endDownLater(pipe.end, this.delay())
    if (end.state === 'closed') return
    end.endpoint.run(() => {
      if (end.state === 'up') end.endpoint.messages(end.link, frame)
    })
  }

  private stall(pipe: Pipe, frame: Frame): void {
    const stalled = [frame]
    pipe.stalled = stalled
    this.clock.after(this.chance.between(3000, 15_000), () => {
      if (pipe.stalled === stalled && this.isCut(pipe)) this.breakConnection(pipe.end)
    })
  }

  /** The cut healed: what waited is sent again after the backoff of the sender's kernel. */
  private resume(pipe: Pipe): void {
    const stalled = pipe.stalled
    this.clock.after(this.chance.skewed(1, this.calm ? 200 : 3000), () => {
      if (pipe.broken || stalled === undefined || pipe.stalled !== stalled || this.isCut(pipe)) return
      pipe.stalled = undefined
      for (const frame of stalled) this.deliver(pipe, frame)
    })
  }

  // ---- ends -------------------------------------------------------------------------------------------------------

  private closeEnd(end: End): void {
    if (end.state !== 'up') return
    end.state = 'closed'
    this.clock.after(0, () => end.endpoint.run(() => this.forget(end)))
    this.shipEnd(end.pipe)
  }

  private breakConnection(end: End): void {
    end.pipe.broken = true
    end.other.pipe.broken = true
    const [first, second] = this.chance.happens(0.5) ? [end, end.other] : [end.other, end]
    this.endDownLater(first, this.chance.between(0, 50))
    this.endDownLater(second, this.chance.happens(0.7) ? this.chance.between(0, 100) : this.chance.between(0, 8000))
  }

  private endDownLater(end: End, afterMs: number): void {
    this.clock.after(afterMs, () => {
      if (end.state === 'waiting') end.state = 'closed'
      if (end.state !== 'up' || end.closing) return
      end.closing = true
      end.pipe.broken = true
      end.endpoint.run(() => {
        if (end.state !== 'up') return
        end.state = 'closed'
        this.forget(end)
      })
    })
  }

  private forget(end: End): void {
    if (!(this.ends.get(end.endpoint)?.delete(end.link) ?? false)) return
    end.endpoint.linkDown(end.link)
    for (const dial of this.dialers.get(end.endpoint)?.values() ?? []) {
      if (dial.end !== end) continue
      delete dial.end
      this.redial(end.endpoint, dial)
    }
  }

  // ---- conditions -------------------------------------------------------------------------------------------------

  private delay(): number {
    if (this.calm) return this.chance.between(0.2, 2)
    if (this.chance.happens(this.faults.tailPerFrame)) return this.chance.between(20, this.faults.tailMs)
    return this.chance.between(0.2, this.faults.delayMs)
  }

  private lagOf(pipe: Pipe): number {
    if (this.lags.size === 0) return 0
    return this.lags.get(`${pipe.end.endpoint.host}>${pipe.end.other.endpoint.host}`) ?? 0
  }

  private isCut(pipe: Pipe): boolean {
    return this.cuts.length > 0 && this.cutFromTo(pipe.end.endpoint.host, pipe.end.other.endpoint.host)
  }

  private cutBetween(a: string, b: string): boolean {
    return this.cutFromTo(a, b) || this.cutFromTo(b, a)
  }

  private cutFromTo(from: string, to: string): boolean {
    return this.cuts.some((cut) => crosses(cut, from, to) || (!cut.oneWay && crosses(cut, to, from)))
  }
}

/** Of Ethernet, IP, TCP and WebSocket together, roughly. */
const PACKET_HEADERS_BYTES = 80

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

function crosses({ side, others }: Cut, from: string, to: string): boolean {
  return side.has(from) && (others === undefined ? !side.has(to) : others.has(to))
}

/** Frames from hosts of `side` to `others` (without it: to all others) do not arrive; nor back, unless `oneWay`. */
export interface Cut {
  readonly side: ReadonlySet<string>
  readonly others?: ReadonlySet<string>
  readonly oneWay: boolean
}

export interface NetworkFaults {
  /** Delay of a frame without bad luck goes up to this, milliseconds. */
  readonly delayMs: number
  readonly tailPerFrame: number
  readonly tailMs: number
  /** Each lost frame ends its connection. */
  readonly lossPerFrame: number
  /** Frames go through the wire codec, so that nothing is shared between two processes. */
  readonly encoded: boolean
  /** What the way out of each host carries: 12,500 is 100 Mbit/s. Absent: as much as there is. */
  readonly bytesPerMs?: number
  /** Nodes send what is urgent over a lane of its own (amendment 36). Absent: as builds before it did. */
  readonly lanes?: boolean
}

/** A connection that a process wants to have: it has an attempt under way, or an end, or waits for its next attempt. */
interface Dial {
  readonly address: string
  attempt?: Attempt
  end?: End
}

interface Attempt {
  readonly endpoint: Endpoint
  readonly dial: Dial
}
