import { LIMITS } from '@ashlar/proto'
import { badFrame } from './bytes.ts'
import { describe } from './fields.ts'

/**
 * Commands of control's log as they travel: JSON, because only control knows their shapes and they grow with it. Here
 * it is checked that they are plain data of bounded size and depth: objects, lists, texts, flags and finite numbers.
 */

export type PlainCommand = { readonly do: string }

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })
/** Commands nest three deep: a command, a list, a record, a list. */
const MAX_DEPTH = 8
/** A command is made from one control message, and so never larger than what a frame holds beside its headers. */
const MAX_COMMAND_BYTES = LIMITS.frameBytes - LIMITS.controlBytes

/** A command is sent to several members, and asked for its size before: it is written once. Commands never change. */
const encoded = new WeakMap<PlainCommand, Uint8Array>()

export function encodeCommand(command: PlainCommand): Uint8Array {
  const known = encoded.get(command)
  if (known !== undefined) return known
  checkCommand(command)
  const bytes = encoder.encode(JSON.stringify(command))
  checkLength(bytes.length)
  encoded.set(command, bytes)
  return bytes
}

export function decodeCommand(bytes: Uint8Array): PlainCommand {
  checkLength(bytes.length)
  let command: unknown
  try {
    command = JSON.parse(decoder.decode(bytes))
  } catch (error) {
    throw badFrame('a command that is not JSON', error)
  }
  checkCommand(command)
  return command
}

function checkLength(length: number): void {
  if (length > MAX_COMMAND_BYTES) throw badFrame(`a command of ${length} bytes; at most ${MAX_COMMAND_BYTES}`)
}

function checkCommand(value: unknown): asserts value is PlainCommand {
  const word = typeof value === 'object' && value !== null ? (value as Partial<PlainCommand>).do : undefined
  if (typeof word !== 'string') throw badFrame(`a command must say what it does, not be ${describe(value)}`)
  checkPlain(value, 0)
}

function checkPlain(value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw badFrame(`a command nests deeper than ${MAX_DEPTH}`)
  if (typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) return
  // Members that are undefined do not travel.
  if (value === undefined && depth > 0) return
  if (typeof value !== 'object' || value === null) throw badFrame(`a command holds ${describe(value)}`)
  for (const member of Array.isArray(value) ? value : Object.values(value)) checkPlain(member, depth + 1)
}
