import type { LinkPeer } from '../core/machine.ts'
import type { Connection } from './connection.ts'
import { refused } from './handshake.ts'

/** The connections of one link: one, or two of which one carries urgent messages. */
export interface Carrier {
  readonly main: Connection
  readonly urgent: Connection | undefined
  readonly peer: LinkPeer
}

interface Pair {
  readonly main: Connection
  readonly peer: LinkPeer
  urgent: Connection | undefined
}

/**
 * Links of two connections that are being established. The dialing side dials the second connection once the first has passed
 * its handshake. There the link is up once the second has passed too, which a ping over it signals. On the accepting side it
 * is up with the first frame: both connections exist by then, and nothing was sent before. If one ends, so does the other.
 */
export class Pairs {
  private readonly byToken: Map<string, Pair> = new Map()

  /** The first connection passed its handshake. `urgent`: the second, on the side that dials it. */
  begin(main: Connection, peer: LinkPeer, urgent: Connection | undefined): void {
    const token = main.lane?.token ?? ''
    if (this.byToken.has(token)) return main.cut('another link has the same token')
    this.byToken.set(token, { main, peer, urgent })
  }

  /** The second connection passed its handshake. Returns the link if it is up on this side. */
  join(urgent: Connection, peer: LinkPeer): Carrier | undefined {
    const pair = this.byToken.get(urgent.lane?.token ?? '')
    const isDialed = pair?.urgent === urgent
    const isWaited = isDialed || (pair?.urgent === undefined && pair?.main.direction === 'in')
    const problem = pair === undefined || !isWaited ? NO_LINK : pairProblem(pair, urgent, peer)
    // The dialing side sees the second connection end and closes the first; a third party with the token ends no link.
    if (problem !== undefined) urgent.refuse(refused(problem))
    else if (pair !== undefined && isDialed) return this.complete(pair)
    else if (pair !== undefined) pair.urgent = urgent
    return undefined
  }

  /** A frame arrived over a connection without a link: the link is now up, if this is the accepting side. */
  onFrame(connection: Connection): Carrier | undefined {
    const pair = this.byToken.get(connection.lane?.token ?? '')
    const isOfPair = pair !== undefined && (pair.main === connection || pair.urgent === connection)
    if (isOfPair && pair.urgent !== undefined && connection.direction === 'in') return this.complete(pair)
    connection.cut('a message before the link was up')
    return undefined
  }

  /** A connection ended. */
  forget(connection: Connection): void {
    const token = connection.lane?.token ?? ''
    const pair = this.byToken.get(token)
    if (pair === undefined || (pair.main !== connection && pair.urgent !== connection)) return
    this.byToken.delete(token)
    const other = pair.main === connection ? pair.urgent : pair.main
    other?.endWith(connection)
  }

  private complete(pair: Pair): Carrier {
    this.byToken.delete(pair.main.lane?.token ?? '')
    return pair
  }
}

const NO_LINK = 'no link waits for this connection'

/** Why the peer of the second connection is not the peer of the first, or undefined. */
function pairProblem({ main, peer: first }: Pair, urgent: Connection, second: LinkPeer): string | undefined {
  if (first.kind !== 'node' || second.kind !== 'node') return NO_LINK
  const differs = (what: string, a: unknown, b: unknown): string =>
    `the two connections of a link lead to different nodes: ${what} ${a} on the first, ${b} on the second`
  if (first.store !== second.store) return differs('store', first.store, second.store)
  if (first.counter !== second.counter) return differs('start counter', first.counter, second.counter)
  if (first.wire !== second.wire) return differs('wire version', first.wire, second.wire)
  // A node that joined a cluster between the two handshakes named none on the first.
  const entered = main.cluster === undefined || urgent.cluster === undefined
  return entered || main.cluster === urgent.cluster ? undefined : differs('cluster', main.cluster, urgent.cluster)
}
