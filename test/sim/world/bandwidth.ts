import type { Clock } from './time.ts'

/** One packet and its headers: nothing smaller is sent for another one's sake. */
const PACKET_BYTES = 1500
/** Connections take turns of this length, at least a packet each. */
const TURN_MS = 1

/** Something on its way out of a host. */
interface Shipment {
  leftBytes: number
  /** Its connection is closed: it takes no bandwidth any more. */
  readonly lost: () => boolean
  readonly sent: () => void
}

/** What one connection has given to its kernel and the line has not taken: first in, first out. */
export type Backlog = Shipment[]

/**
 * The ways out of hosts, each with a rate. Frames of one connection wait for each other, by their size; connections
 * take turns, a packet or a millisecond each, as a kernel's queues make them do. A kernel takes as much as it is given
 * here: TCP would keep the rest in the process, where it waits just as long.
 */
export class Uplinks {
  private readonly clock: Clock
  private readonly bytesPerMs: number
  private readonly hosts = new Map<string, Uplink>()
  /** Longest time from the moment at which a host took something until its last byte left. */
  longestMs = 0

  constructor(clock: Clock, bytesPerMs: number) {
    this.clock = clock
    this.bytesPerMs = bytesPerMs
  }

  /**
   * Sends so many bytes of one connection; `sent` is called when the last has left, never when the connection is lost
   * before.
   */
  send(host: string, backlog: Backlog, bytes: number, how: Pick<Shipment, 'lost' | 'sent'>): void {
    let uplink = this.hosts.get(host)
    if (uplink === undefined) {
      uplink = { turns: [], busy: false }
      this.hosts.set(host, uplink)
    }
    const since = this.clock.now
    const sent = (): void => {
      this.longestMs = Math.max(this.longestMs, this.clock.now - since)
      how.sent()
    }
    backlog.push({ leftBytes: bytes, lost: how.lost, sent })
    if (backlog.length === 1) uplink.turns.push(backlog)
    if (!uplink.busy) this.nextTurn(uplink)
  }

  private nextTurn(uplink: Uplink): void {
    const backlog = takeNext(uplink)
    uplink.busy = backlog !== undefined
    const [first] = backlog ?? []
    if (backlog === undefined || first === undefined) return
    const turnBytes = Math.min(first.leftBytes, Math.max(PACKET_BYTES, TURN_MS * this.bytesPerMs))
    this.clock.after(turnBytes / this.bytesPerMs, () => {
      first.leftBytes -= turnBytes
      if (first.leftBytes <= 0) backlog.shift()
      if (backlog.length > 0) uplink.turns.push(backlog)
      if (first.leftBytes <= 0 && !first.lost()) first.sent()
      this.nextTurn(uplink)
    })
  }
}

interface Uplink {
  /**
   * Connections that have something to send, in the order of their turns; the one whose turn it is is not among them.
   */
  readonly turns: Backlog[]
  busy: boolean
}

/** The next connection that has something to send, once lost ones are removed. */
function takeNext(uplink: Uplink): Backlog | undefined {
  for (let next = uplink.turns.shift(); next !== undefined; next = uplink.turns.shift()) {
    while (next[0]?.lost()) next.shift()
    if (next.length > 0) return next
  }
  return undefined
}
