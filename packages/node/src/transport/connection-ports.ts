import type { Message, Write } from '@ashlar/proto'
import type { FrameMemory } from '@ashlar/proto/codec'
import type { LinkPeer } from '../core/machine.ts'
import type { Lane } from './lanes.ts'
import type { TransportCounters } from './metrics.ts'
import type { BlockSizeOf, TransportIdentity, TransportLogger } from './options.ts'

/** How a WebSocket came to be. */
export interface ConnectionOrigin {
  readonly direction: 'in' | 'out'
  /** Address of the other side, for log messages. */
  readonly remote: string
  /** Its lane in a link of two, where the dialing side named one. */
  readonly lane: Lane | undefined
  /** Of a dialed connection: whether the host of the other side has accepted it. */
  readonly accepted?: () => boolean
}

export interface ConnectionContext {
  readonly identity: () => TransportIdentity
  readonly blockSizeOf: BlockSizeOf
  readonly logger: TransportLogger
  readonly counters: TransportCounters
  readonly frameMemory: FrameMemory
}

/**
 * What a connection reports to the transport, which calls `establish` after `up` once the link is up. `down` follows each `up`
 * exactly once; `ended` comes last, exactly once.
 */
export interface ConnectionEvents<Connection> {
  up(connection: Connection, peer: LinkPeer): void
  down(connection: Connection): void
  messages(connection: Connection, messages: readonly Message[]): void
  /** A write whose payload does not match its checksums; it is left out of `messages`, and the link stays open. */
  damagedWrites(connection: Connection, writes: readonly Write[]): void
  ended(connection: Connection, reason: string): void
}
