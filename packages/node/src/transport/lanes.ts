import { URGENT_LANE_WIRE } from '@ashlar/proto'
import type { LinkPeer } from '../core/machine.ts'

/**
 * The lane of a connection, sent before its handshake in the path of the upgrade request. A link between two nodes that
 * implement A2.22-3 is two connections with the same token. Older builds ignore the path.
 */
export interface Lane {
  /** Made by the dialing side for each link. */
  readonly token: string
  /** True for the second connection of the link, which carries urgent messages; the first carries all others. */
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

/** True when a connection is the first of two; both sides decide the same from lane and handshake. */
export function isFirstOfTwo(lane: Lane | undefined, peer: LinkPeer): boolean {
  return lane !== undefined && !lane.urgent && peer.kind === 'node' && peer.wire >= URGENT_LANE_WIRE
}
