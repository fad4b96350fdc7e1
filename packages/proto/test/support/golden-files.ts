import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MESSAGE_KINDS, type MessageType } from '@ashlar/proto'

/**
 * Golden frames: `golden/KIND.hex` is the frame of the first wire version that has the kind, `golden/wire-N/KIND.hex` that of
 * version N, where fields came since N.
 */
export function goldenFile(type: MessageType, wire?: number): string {
  const directory = wire === undefined ? '' : `wire-${wire}/`
  return fileURLToPath(new URL(`../golden/${directory}${type}.hex`, import.meta.url))
}

export function readGolden(type: MessageType, wire?: number): Uint8Array {
  return new Uint8Array(Buffer.from(readFileSync(goldenFile(type, wire), 'utf8').replaceAll('\n', ''), 'hex'))
}

/** Kinds that have a golden frame of their own for this version. */
export function kindsOf(wire: number): MessageType[] {
  return (Object.keys(MESSAGE_KINDS) as MessageType[]).filter((type) => existsSync(goldenFile(type, wire)))
}
