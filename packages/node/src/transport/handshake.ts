import {
  type ClusterId,
  ERRORS,
  FEATURE_LEVEL,
  type Hello,
  type Refused,
  type Welcome,
  WIRE_VERSION,
  WIRE_VERSION_MIN,
} from '@ashlar/proto'
import { levelProblem } from '../core/control/index.ts'
import type { LinkPeer } from '../core/machine.ts'
import type { TransportIdentity } from './options.ts'

/** The decisions of the handshake, without a connection: which peers are accepted, and why others are refused. */

export function helloOf(identity: TransportIdentity): Hello {
  return {
    type: 'hello',
    kind: 'node',
    wire: WIRE_VERSION,
    wireMin: WIRE_VERSION_MIN,
    ...(identity.cluster === undefined ? {} : { cluster: identity.cluster }),
    store: identity.store,
    counter: identity.counter,
    name: identity.name,
    address: identity.address,
    credential: new Uint8Array(0),
    level: FEATURE_LEVEL,
    pid: process.pid,
  }
}

/** `wire` is the version of the link: the newest that both sides know. */
export function welcomeOf(identity: TransportIdentity, hello: Hello): Welcome {
  return {
    type: 'welcome',
    wire: commonWire(hello.wire),
    ...(identity.cluster === undefined ? {} : { cluster: identity.cluster }),
    store: identity.store,
    counter: identity.counter,
    name: identity.name,
    address: identity.address,
    level: FEATURE_LEVEL,
    pid: process.pid,
  }
}

/** What a connection knows of the other side beside its `LinkPeer`: for reports only. */
export interface OtherSide {
  readonly name: string
  /** Its advertised address. */
  readonly address: string
  /** Its process; undefined for older builds. */
  readonly pid: number | undefined
}

/** The other side as it describes itself. */
export function otherSideOf({ name, address, pid }: Hello | Welcome): OtherSide {
  return { name, address, pid }
}

/** Why a hello is refused, or undefined. */
export function judgeHello(own: TransportIdentity, hello: Hello): Refused | undefined {
  if (hello.wire < WIRE_VERSION_MIN || hello.wireMin > WIRE_VERSION) {
    return refused(
      `no common wire version: the dialing side speaks ${hello.wireMin} to ${hello.wire}, ` +
        `${own.name} speaks ${WIRE_VERSION_MIN} to ${WIRE_VERSION}; upgrade the older one`,
    )
  }
  if (hello.kind === 'node' && hello.store === undefined) return refused('a node must name its store')
  if (hello.credential.length > 0) {
    return refused('this version checks no credentials; connect without one, or upgrade this node')
  }
  const other = clusterProblem(own, hello)
  if (other !== undefined) return refused(other, 'CONFLICT')
  if (hello.kind === 'client') return undefined
  const problem = levelProblem(own.featureLevel, hello)?.message ?? storeProblem(own, hello)
  return problem === undefined ? undefined : refused(problem)
}

/** Why a welcome is not accepted, or undefined. */
export function judgeWelcome(own: TransportIdentity, welcome: Welcome): Refused | undefined {
  if (welcome.wire < WIRE_VERSION_MIN || welcome.wire > WIRE_VERSION) {
    return refused(
      `${welcome.name} chose wire version ${welcome.wire}; ${own.name} speaks ${WIRE_VERSION_MIN} to ${WIRE_VERSION}`,
    )
  }
  const other = clusterProblem(own, welcome)
  if (other !== undefined) return refused(other, 'CONFLICT')
  const problem = levelProblem(own.featureLevel, welcome)?.message ?? storeProblem(own, welcome)
  return problem === undefined ? undefined : refused(problem)
}

/** The other side, with the wire version of the link between the two. */
export function peerOf(message: Hello | Welcome): LinkPeer {
  const { counter, address, level = 0 } = message
  const wire = commonWire(message.wire)
  if (message.type === 'hello' && message.kind === 'client') return { kind: 'client', wire, name: message.name }
  // judgeHello refuses a node without a store.
  return { kind: 'node', wire, store: message.store as Welcome['store'], counter, address, level, urgentLane: false }
}

/** The newest version that both sides speak; for a welcome, the version that it names. */
function commonWire(wire: number): number {
  return Math.min(WIRE_VERSION, wire)
}

/** The part of a handshake that decides whether the two sides belong to one cluster. */
interface Side {
  readonly name: string
  readonly cluster?: ClusterId | undefined
}

/** Where one side has no cluster yet, bootstrap and joining decide (amendment 9), not the handshake. */
export function clusterProblem(own: Side, other: Side): string | undefined {
  if (own.cluster === undefined || other.cluster === undefined || own.cluster === other.cluster) return undefined
  return `data directory of another cluster: ${own.name} belongs to ${own.cluster}, ${other.name} to ${other.cluster}`
}

function storeProblem(own: TransportIdentity, other: Hello | Welcome): string | undefined {
  if (own.store !== other.store) return undefined
  return (
    `both sides have store ${own.store}: ${own.name} dialed itself, or the data directory of ${other.name} is a copy; ` +
    'start a copy with an empty data directory'
  )
}

/** CONFLICT: the two sides belong to different clusters, which dialing again does not change. */
export function refused(message: string, code: 'HANDSHAKE' | 'CONFLICT' = 'HANDSHAKE'): Refused {
  return { type: 'refused', code: ERRORS[code].number, message }
}
