import type { LinkPeer } from '../core/machine.ts'
import type { Connection } from './connection.ts'
import { refused } from './handshake.ts'

/** The connections of one link: one, or one for what is urgent beside it. */
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
 * Links of two connections on their way to be up. The dialing side dials the second once the first has passed its handshake;
 * the link is up there once the second has, too, and a ping over it says so. The accepting side takes it for up with the first
 * frame: it has both by then, and has sent nothing before. If either connection ends meanwhile, the other one does.
 */
export class Pairs {
  private readonly byToken: Map<string, Pair> = new Map()

  /** The first connection passed its handshake. `urgent`: the second, on the side that dials it. */
  begin(main: Connection, peer: LinkPeer, urgent: Connection | undefined): void {
    const token = main.lane?.token ?? ''
    if (this.byToken.has(token)) return main.cut('another link has the same token')
    this.byToken.set(token, { main, peer, urgent })
  }

  /** The second connection passed its handshake. Gives the link if it is up on this side. */
  join(urgent: Connection, peer: LinkPeer): Carrier | undefined {
    const pair = this.byToken.get(urgent.lane?.token ?? '')
    const isDialed = pair?.urgent === urgent
    const isWaited = isDialed || (pair?.urgent === undefined && pair?.main.direction === 'in')
    const problem = pair === undefined || !isWaited ? NO_LINK : pairProblem(pair, urgent, peer)
    // The side that dialed is told of the end of the second, and gives the first up; who else knows the token ends no link by it.
    if (problem !== undefined) urgent.refuse(refused(problem))
    else if (pair !== undefined && isDialed) return this.complete(pair)
    else if (pair !== undefined) pair.urgent = urgent
    return undefined
  }

  /** A frame came over a connection of no link: with it the link is up, if that is the accepting side. */
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

/** Why who speaks on the second connection is not who speaks on the first, or undefined. */
function pairProblem({ main, peer: first }: Pair, urgent: Connection, second: LinkPeer): string | undefined {
  if (first.kind !== 'node' || second.kind !== 'node') return NO_LINK
  const differs = (what: string, a: unknown, b: unknown): string =>
    `the two connections of a link lead to different nodes: ${what} ${a} on the first, ${b} on the second`
  if (first.store !== second.store) return differs('store', first.store, second.store)
  if (first.counter !== second.counter) return differs('start counter', first.counter, second.counter)
  if (first.wire !== second.wire) return differs('wire version', first.wire, second.wire)
  // A node that enters a cluster between the two names none on the first.
  const entered = main.cluster === undefined || urgent.cluster === undefined
  return entered || main.cluster === urgent.cluster ? undefined : differs('cluster', main.cluster, urgent.cluster)
}
