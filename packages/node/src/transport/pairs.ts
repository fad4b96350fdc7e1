import type { LinkPeer } from '../core/machine.ts'
import type { Session } from './session.ts'

/** The connections of one link: one, or one for what is urgent beside it. */
export interface Carrier {
  readonly main: Session
  readonly urgent: Session | undefined
  readonly peer: LinkPeer
}

interface Pair {
  readonly main: Session
  readonly peer: LinkPeer
  urgent: Session | undefined
}

/**
 * Links of two connections on their way to be up. The dialing side dials the second once the first has passed its handshake;
 * the link is up there once the second has, too, and a ping over it says so. The accepting side takes it for up with the first
 * frame: it has both by then, and has sent nothing before. If either connection ends meanwhile, the other one does.
 */
export class Pairs {
  private readonly byToken: Map<string, Pair> = new Map()

  /** The first connection passed its handshake. `urgent`: the second, on the side that dials it. */
  begin(main: Session, peer: LinkPeer, urgent: Session | undefined): void {
    const token = main.lane?.token ?? ''
    if (this.byToken.has(token)) return main.cut('another link has the same token')
    this.byToken.set(token, { main, peer, urgent })
  }

  /** The second connection passed its handshake. Gives the link if it is up on this side. */
  join(urgent: Session, peer: LinkPeer): Carrier | undefined {
    const pair = this.byToken.get(urgent.lane?.token ?? '')
    if (pair?.urgent === urgent) return this.complete(pair)
    if (pair?.urgent === undefined && pair?.main.direction === 'in' && isSame(pair.peer, peer)) pair.urgent = urgent
    else urgent.cut('no link waits for this connection')
    return undefined
  }

  /** A frame came over a connection of no link: with it the link is up, if that is the accepting side. */
  onFrame(session: Session): Carrier | undefined {
    const pair = this.byToken.get(session.lane?.token ?? '')
    const isOfPair = pair !== undefined && (pair.main === session || pair.urgent === session)
    if (isOfPair && pair.urgent !== undefined && session.direction === 'in') return this.complete(pair)
    session.cut('a message before the link was up')
    return undefined
  }

  /** A connection ended. */
  forget(session: Session, reason: string): void {
    const token = session.lane?.token ?? ''
    const pair = this.byToken.get(token)
    if (pair === undefined || (pair.main !== session && pair.urgent !== session)) return
    this.byToken.delete(token)
    const other = pair.main === session ? pair.urgent : pair.main
    other?.cut(`the other connection of the link ended: ${reason}`)
  }

  private complete(pair: Pair): Carrier {
    this.byToken.delete(pair.main.lane?.token ?? '')
    return pair
  }
}

function isSame(a: LinkPeer, b: LinkPeer): boolean {
  return a.kind === 'node' && b.kind === 'node' && a.store === b.store && a.counter === b.counter && a.wire === b.wire
}
