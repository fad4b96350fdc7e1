import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { type AttachMode, type AttachPolicy, isDialable, isName, NAME_RULE, TIMERS } from '@ashlar/proto'
import { usageError } from './errors.ts'
import type { MetricRegistry } from './metrics.ts'
import { type ClientTls, tlsOptions } from './transport/ws-connection.ts'

/** A logger like pino's: an object first, a sentence second. */
export interface ClientLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface ConnectOptions {
  /**
   * Peer addresses (`host:port`) of one or more nodes. The client learns the rest of the cluster from the first that
   * responds. Each address costs one connection and lets the client start while other nodes are down.
   */
  readonly servers: readonly string[]
  /** Aborts `connect`; it has no effect after `connect` has resolved. */
  readonly signal?: AbortSignal
  /** Logs connections, waits and lost volumes. Default: no logs. */
  readonly logger?: ClientLogger
  /** A registry of prom-client in which the client's metrics are registered. Default: none. */
  readonly register?: MetricRegistry
  /**
   * TLS for every connection, to servers with a certificate of an authority in `ca` (default: those that Node trusts).
   * Nodes of this version speak plain text: use it if a proxy in front of them terminates TLS. Default: plain text.
   */
  readonly tls?: ClientTls
  /**
   * How long a call may take, milliseconds. Default 60,000. A shorter time reports trouble sooner; a longer one rides
   * out longer repairs. A call of more than 64 MiB gets the same time again after every 64 MiB.
   */
  readonly ioTimeoutMs?: number
  /**
   * Shown as the holder of volumes that this client opens, at most 255 characters. Default: program, host and process id.
   */
  readonly name?: string
  /**
   * Name that this program has again after a restart, and that no other running program has, at most 255 characters.
   * With it `takeOver: 'silent'` and `'resume'` take volumes back that an earlier process left attached. Default: none.
   */
  readonly owner?: string
}

/**
 * What an open does when other sessions would end by it (FENCED). `take`: ends them. `free`: fails with ATTACHED, naming
 * the holder. `silent`: fails with ATTACHED while the cluster heard of the holder within 30 seconds; a holder of the same
 * `owner` ends at once. `resume`: takes the volume back from a holder of the same `owner`, and fails with FENCED where
 * there is none.
 */
export type TakeOver = AttachPolicy

export interface OpenOptions {
  /**
   * `exclusive` (default): the only writer; `shared` lets several clients write at once; `read-only` takes no
   * attachment and fences no client.
   */
  readonly mode?: AttachMode
  /** The same as `takeOver: 'free'`. Default false. */
  readonly ifFree?: boolean
  /** Whether holders before it are fenced. Default `take`. A shared open beside sharers fences none. */
  readonly takeOver?: TakeOver
  readonly signal?: AbortSignal
}

export interface IoOptions {
  /**
   * Aborts the call: it rejects at once with ABORTED, the signal's reason as its cause. A write may still take effect
   * if the error's details have `indeterminate: true`.
   */
  readonly signal?: AbortSignal
}

/** The public function that was called: an error's stack begins above it. */
export type Entry = (...args: never[]) => unknown

const NAME_LENGTH = 255

/** Throws USAGE that names the option. */
export function checkConnectOptions(options: ConnectOptions, entry: Entry): void {
  const { servers, ioTimeoutMs, name, owner, tls } = options
  if (!Array.isArray(servers) || servers.length === 0)
    throw usageError(`servers must be a list of at least one address, not ${shown(servers)}`, EXAMPLE, entry)
  for (const server of servers) {
    if (typeof server !== 'string' || !isDialable(server))
      throw usageError(`servers has ${shown(server)}, which is not an address of the form host:port`, EXAMPLE, entry)
  }
  if (ioTimeoutMs !== undefined && !(Number.isFinite(ioTimeoutMs) && ioTimeoutMs > 0))
    throw usageError(
      `ioTimeoutMs must be a number of milliseconds above 0, not ${shown(ioTimeoutMs)}`,
      `Leave it out for ${TIMERS.ioTimeoutMs}.`,
      entry,
    )
  if (name !== undefined && (typeof name !== 'string' || name.length > NAME_LENGTH))
    throw usageError(`name must be text of at most ${NAME_LENGTH} characters`, undefined, entry)
  if (owner !== undefined && (typeof owner !== 'string' || owner === '' || owner.length > NAME_LENGTH))
    throw usageError(`owner must be text of 1 to ${NAME_LENGTH} characters`, undefined, entry)
  checkTls(tls, entry)
  checkSignal(options.signal, entry)
}

/** Refuses what would fail at every dial. */
function checkTls(tls: unknown, entry: Entry): void {
  if (tls === undefined) return
  const hint = 'ca, cert and key are PEM texts or their bytes; cert and key belong together; servername is a name.'
  if (typeof tls !== 'object' || tls === null || Array.isArray(tls))
    throw usageError(`tls must be an object, not ${shown(tls)}`, hint, entry)
  const { servername, cert, key } = tls as ClientTls
  if (servername !== undefined && typeof servername !== 'string')
    throw usageError(`tls.servername must be text, not ${shown(servername)}`, hint, entry)
  // OpenSSL accepts one without the other, and then sends no certificate.
  if ((cert === undefined) !== (key === undefined))
    throw usageError(`tls.${cert === undefined ? 'key' : 'cert'} is given without the other half`, hint, entry)
  try {
    const material = tlsOptions(tls)
    createSecureContext(material)
    // Node accepts a text without a certificate, and then trusts no server.
    if (material.ca !== undefined) new X509Certificate(material.ca)
  } catch (error) {
    throw usageError(`tls cannot be used: ${error instanceof Error ? error.message : error}`, hint, entry)
  }
}

const EXAMPLE = "Give peer addresses such as ['127.0.0.1:7580']."

/** Throws USAGE that names the option. */
export function checkOpenOptions(name: string, options: OpenOptions, entry: Entry): void {
  checkVolumeName(name, entry)
  const { mode, ifFree, takeOver } = options
  if (mode !== undefined && !['exclusive', 'read-only', 'shared'].includes(mode))
    throw usageError(`mode must be 'exclusive', 'read-only' or 'shared', not ${shown(mode)}`, undefined, entry)
  if (ifFree !== undefined && typeof ifFree !== 'boolean')
    throw usageError(`ifFree must be true or false, not ${shown(ifFree)}`, undefined, entry)
  if (takeOver !== undefined && !['take', 'free', 'silent', 'resume'].includes(takeOver))
    throw usageError(`takeOver must be 'take', 'free', 'silent' or 'resume', not ${shown(takeOver)}`, undefined, entry)
  if (ifFree === true && takeOver !== undefined && takeOver !== 'free')
    throw usageError(`ifFree and takeOver: '${takeOver}' exclude each other`, 'Leave ifFree out.', entry)
  checkSignal(options.signal, entry)
}

export function checkVolumeName(name: unknown, entry: Entry): void {
  if (isName(name)) return
  throw usageError(`name is ${shown(name)}, which is no volume name`, NAME_RULE, entry)
}

export function checkSignal(signal: unknown, entry: Entry): void {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw usageError(`signal must be an AbortSignal, not ${shown(signal)}`, undefined, entry)
}

/** A range's offset and length; whether it lies inside the volume is checked where its size is known. */
export function checkRange(offset: unknown, length: unknown, entry: Entry): void {
  for (const [option, value] of [
    ['offset', offset],
    ['length', length],
  ] as const) {
    if (!Number.isSafeInteger(value) || (value as number) < 0)
      throw usageError(`${option} must be a whole number of bytes from 0, not ${shown(value)}`, undefined, entry)
  }
}

export function checkBytes(option: string, bytes: unknown, entry: Entry): void {
  if (bytes instanceof Uint8Array) return
  throw usageError(`${option} must be a Uint8Array, not ${shown(bytes)}`, undefined, entry)
}

/** A value as error messages show it: short. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 80)}'`
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? `a list of ${value.length}` : 'an object'
  return String(value)
}
