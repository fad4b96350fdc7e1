import { URGENT_LANE_WIRE } from '@ashlar/proto'
import type { LinkPeer } from '../core/machine.ts'

/**
 * What a connection says of itself before its handshake, by the path that it asks for: a link between two nodes that know
 * A2.22-3 is two connections, and the same token on both says that they belong together. A build that does not know it
 * looks at no path.
 */
export interface Lane {
  /** Made by the dialing side for each link. */
  readonly token: string
  /** The second connection of the link: it carries what is urgent, the first all else. */
  readonly urgent: boolean
}

const PATH = /^\/link\/([0-9a-f-]{36})(\/urgent)?$/

export function pathOf({ token, urgent }: Lane): string {
  return `/link/${token}${urgent ? '/urgent' : ''}`
}

/** Undefined for any other path: a client, or a node of an older build. */
export function laneOf(path: string | undefined): Lane | undefined {
  const [, token, urgent] = PATH.exec(path ?? '') ?? []
  return token === undefined ? undefined : { token, urgent: urgent !== undefined }
}

/** True when a connection is the first of two: what both sides say of themselves comes to the same answer on each. */
export function isFirstOfTwo(lane: Lane | undefined, peer: LinkPeer): boolean {
  return lane !== undefined && !lane.urgent && peer.kind === 'node' && peer.wire >= URGENT_LANE_WIRE
}
