/** The wire codec: messages as frames, how frames travel over WebSocket, and the checksums of block bytes. */
import type { Message } from '@ashlar/proto'

export { checksum, verifyChecksums, verifyWrite } from './checksum.ts'
export { decodeFrame, encodeFrame, FRAME_OVERHEAD_BYTES, messageBytes } from './frame.ts'
export { FrameMemory } from './frame-memory.ts'
export { FRAME_TARGET_BYTES, FrameQueue } from './frame-queue.ts'
export { KeptMemory } from './kept-memory.ts'
export { HANDSHAKE_WIRE_VERSION, kindSince } from './kinds.ts'
export { connectionFault, KEEPALIVE_MS, WEBSOCKET_DIAL_OPTIONS, WEBSOCKET_OPTIONS } from './websocket.ts'

/** Longest first frame of a connection, bytes: the handshake is the one thing that a stranger may send. */
export const HELLO_MAX_BYTES = 8192

/** What a connection of kind `client` may send to a node; anything else on it is refused. */
export const CLIENT_MESSAGE_TYPES: ReadonlySet<Message['type']> = new Set<Message['type']>([
  'write',
  'zero',
  'read',
  'query-allocation',
  'cancel',
  'ping',
  'get-map',
  'admin',
])
