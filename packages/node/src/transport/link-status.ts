import type { Refused, StoreId } from '@ashlar/proto'
import type { Connection } from './connection.ts'
import type { OtherSide } from './handshake.ts'

/**
 * What the last attempt to reach a peer found:
 * - `connecting`: nothing yet.
 * - `connected`: the link is up.
 * - `closed`: the link was up and ended, and no later attempt has ended yet.
 * - `refused`: its host refuses connections: no process listens there.
 * - `silent`: its host accepts connections, and no process answers: it is stopped or hangs.
 * - `unreachable`: no answer of its host, or no route to it.
 * - `handshake-refused`: one of the two sides refused the other in the handshake.
 * - `broken`: the connection ended within the handshake.
 */
export const LINK_STATES = [
  ...(['connecting', 'connected', 'closed', 'refused', 'silent'] as const),
  ...(['unreachable', 'handshake-refused', 'broken'] as const),
] as const
export type LinkState = (typeof LINK_STATES)[number]

/** A refused handshake. */
export interface RefusedHandshake {
  readonly at: number
  readonly by: 'this side' | 'other side'
  /** Number of an error code: CONFLICT for another cluster. */
  readonly code: number
  /** What the refusing side said. */
  readonly words: string
}

/** What this node last saw of a peer that it dials. Moments are milliseconds since 1970 by the clock of this machine. */
export interface LinkStatus {
  readonly address: string
  readonly state: LinkState
  /** First attempt that found this state, without another one in between. */
  readonly since: number
  /** Last attempt that found it. */
  readonly checkedAt: number
  /** The fault as the system or the peer reported it; empty while connected. */
  readonly detail: string
  /** The other side of the last link. */
  readonly peer: (OtherSide & { readonly store: StoreId }) | undefined
  /** The last refused handshake, dialed or accepted, since the last link was up. */
  readonly refusal: RefusedHandshake | undefined
  /** End of the last link. */
  readonly lastLink: { readonly endedAt: number; readonly reason: string } | undefined
}

/** How an attempt ended that brought no link. */
type Fault = Pick<LinkStatus, 'state' | 'detail'>
type FailedAttempt = Pick<Connection, 'refusal' | 'errorCode' | 'endReason' | 'wasAccepted' | 'timedOut'>

const UNREACHABLE: ReadonlySet<string> = new Set([
  ...['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN'],
  ...['ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL'],
])

export function faultOf({ refusal, errorCode, endReason, wasAccepted, timedOut }: FailedAttempt): Fault {
  const detail = endReason
  if (refusal !== undefined) return { state: 'handshake-refused', detail: refusal.message }
  if (errorCode === 'ECONNREFUSED') return { state: 'refused', detail }
  if (errorCode !== undefined && UNREACHABLE.has(errorCode)) return { state: 'unreachable', detail }
  if (timedOut) return { state: wasAccepted ? 'silent' : 'unreachable', detail }
  return { state: 'broken', detail }
}

/** The state of each dialed address, for reports: nothing in the transport depends on it. */
export class LinkStatuses {
  private readonly byAddress = new Map<string, LinkStatus>()
  private readonly now: () => number

  constructor(now: () => number = Date.now) {
    this.now = now
  }

  all(): readonly LinkStatus[] {
    return [...this.byAddress.values()]
  }

  /** The whole set of dialed addresses. */
  setDialed(addresses: readonly string[]): void {
    const wanted = new Set(addresses)
    for (const address of this.byAddress.keys()) if (!wanted.has(address)) this.byAddress.delete(address)
    for (const address of wanted) {
      const at = this.now()
      if (this.byAddress.has(address)) continue
      const nothing = { detail: '', peer: undefined, refusal: undefined, lastLink: undefined }
      this.byAddress.set(address, { address, state: 'connecting', since: at, checkedAt: at, ...nothing })
    }
  }

  onUp(address: string, peer: LinkStatus['peer']): void {
    this.change(address, { state: 'connected', detail: '' }, { peer, refusal: undefined })
  }

  /** A link that was up ended. */
  onDown(address: string, reason: string): void {
    this.change(address, { state: 'closed', detail: reason }, { lastLink: { endedAt: this.now(), reason } })
  }

  /** An attempt ended without a link. */
  onFailed(address: string, fault: Fault, refused?: Pick<Connection, 'refusal' | 'refusedBy'>): void {
    const before = this.byAddress.get(address)
    // The host of a stopped process accepts as many connections as its queue holds, and then answers no more.
    const isFull = fault.state === 'unreachable' && before?.state === 'silent'
    const found: Fault = isFull ? { state: 'silent', detail: fault.detail } : fault
    const { refusal, refusedBy } = refused ?? {}
    const known = refusal !== undefined && refusedBy !== undefined
    this.change(address, found, known ? { refusal: this.refusal(refusal, refusedBy) } : {})
  }

  /** A peer at this advertised address dialed this node, and one of the two refused the other. */
  onRefusedInbound(address: string, refusal: Refused): void {
    const known = this.byAddress.get(address)
    if (known === undefined || known.state === 'connected') return
    this.byAddress.set(address, { ...known, refusal: this.refusal(refusal, 'this side') })
  }

  private refusal({ code, message }: Refused, by: RefusedHandshake['by']): RefusedHandshake {
    return { at: this.now(), by, code, words: message }
  }

  private change(address: string, fault: Fault, more: Partial<LinkStatus>): void {
    const known = this.byAddress.get(address)
    if (known === undefined) return
    const checkedAt = this.now()
    const since = known.state === fault.state ? known.since : checkedAt
    this.byAddress.set(address, { ...known, ...more, ...fault, since, checkedAt })
  }
}
