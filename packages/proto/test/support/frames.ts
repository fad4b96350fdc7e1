import { type AnyMessage, WIRE_VERSION } from '@ashlar/proto'
import { decodeFrame, encodeFrame } from '@ashlar/proto/codec'

const WIRE_VERSION_AT = 8

/** A frame for a link of the newest version, or of another one. */
export function encode(messages: readonly AnyMessage[], wire: number = WIRE_VERSION): Uint8Array {
  return encodeFrame(messages, wire)
}

/** Reads a frame on a link of the version that the frame itself names. */
export function decode(frame: Uint8Array): AnyMessage[] {
  return decodeFrame(frame, frame[WIRE_VERSION_AT] ?? WIRE_VERSION)
}
