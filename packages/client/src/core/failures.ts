import { type AdminDone, type ErrorCode, type Holder, holderText, secondOf, type VolumeRecord } from '@ashlar/proto'
import { isMutation } from './io-call.ts'
import type { ClientFailure } from './machine.ts'
import type { IoCall } from './open-volume.ts'
import { codeOfResponse } from './retry.ts'
import type { Session } from './session.ts'

/** Failures of calls: the message says what was wrong, the hint what to do. */

const WHAT = {
  read: 'read',
  write: 'write',
  discard: 'discard',
  allocation: 'allocation query',
  flush: 'flush',
} as const

function rangeOf(call: IoCall): string {
  return `${WHAT[call.kind]} of ${call.length} bytes at offset ${call.offset} of volume '${call.volume.record.name}'`
}

export function timeoutFailure(call: IoCall): ClientFailure {
  const [oldest] = call.pieces
  const reason = oldest?.reason
  return {
    code: 'TIMEOUT',
    message: `the ${rangeOf(call)} got no response in time${reason === undefined ? '' : ` (${reason})`}`,
    hint: 'The volume may be without a primary or without enough replicas: see `ashlar explain volume`; ioTimeoutMs sets how long a call waits.',
    details: { indeterminate: false, ...(reason === undefined ? {} : { reason }) },
  }
}

export function abortedFailure(kind: keyof typeof WHAT): ClientFailure {
  return { code: 'ABORTED', message: `the ${WHAT[kind]} was aborted by its caller`, details: { indeterminate: false } }
}

export function flushTimeoutFailure(writes: number): ClientFailure {
  return {
    code: 'TIMEOUT',
    message: `the flush timed out: ${writes} earlier writes have no response yet`,
    hint: 'Wait for the writes, or flush again.',
  }
}

export function refusedFailure(call: IoCall, code: ErrorCode): ClientFailure {
  return {
    code,
    message: `the ${rangeOf(call)} was refused by its primary (${code})`,
    ...(code === 'NO_SPACE'
      ? {
          hint: 'A store with a replica has no space left: `ashlar explain volume` names it. Trim, remove volumes or enlarge its disk.',
        }
      : {}),
    ...(isMutation(call) ? { details: { indeterminate: false } } : {}),
  }
}

/** The same failure, saying that the operation may still take effect. */
export function indeterminate(failure: ClientFailure): ClientFailure {
  return { ...failure, details: { ...failure.details, indeterminate: true } }
}

/** `record`: of the volume, as this client's map has it. It names the successor once it is as new as the fencing. */
export function fencedFailure(record: VolumeRecord, session: Session): ClientFailure {
  const [holder] = record.generation > session.generation ? record.holders : []
  return {
    code: 'FENCED',
    message: `${fencedBy(record, session, holder)}: this session is over`,
    hint: 'Open the volume again only if you mean to take it from its holder: `ashlar gateway ls` shows all holders.',
    ...(holder === undefined ? {} : { details: { holder: holder.client } }),
  }
}

function fencedBy({ name, generation, holders }: VolumeRecord, session: Session, holder: Holder | undefined): string {
  const volume = `volume '${name}'`
  if (holder === undefined) {
    if (generation > session.generation) return `another client took ${volume} and has detached since`
    return holders.some(({ session: id }) => id === session.id)
      ? `another client took ${volume}`
      : `an operator or control ended the attachment of ${volume}`
  }
  const since = holder.since === undefined ? '' : ` at ${secondOf(holder.since)}`
  const took = generation === session.generation + 1 && holders.length === 1
  return took
    ? `${holder.client} took ${volume}${since}`
    : `${volume} was taken over, and ${holderText(holder)} holds it`
}

export function tooOldFailure(name: string): ClientFailure {
  return {
    code: 'CONFLICT',
    message: `volume '${name}' cannot be resumed: at least one node runs a version that knows no owners of volumes`,
    hint: 'Upgrade every node first; `ashlar cluster info` shows them.',
  }
}

export function removedFailure(name: string): ClientFailure {
  return { code: 'NOT_FOUND', message: `volume '${name}' was removed` }
}

export function closedFailure(what: string): ClientFailure {
  return { code: 'CLOSED', message: `the ${what} is closed`, hint: 'Open it again.' }
}

export function notFoundFailure(name: string): ClientFailure {
  return { code: 'NOT_FOUND', message: `there is no volume '${name}'`, hint: 'See `ashlar volume ls`.' }
}

export function readOnlyFailure(name: string): ClientFailure {
  return {
    code: 'READ_ONLY',
    message: `volume '${name}' is open read-only`,
    hint: "Open it with mode 'exclusive' or 'shared' to change it.",
  }
}

export function outOfRangeFailure(name: string, sizeBytes: number, offset: number, length: number): ClientFailure {
  return {
    code: 'OUT_OF_RANGE',
    message: `offset ${offset} and length ${length} do not lie inside volume '${name}' of ${sizeBytes} bytes`,
  }
}

export function noMapFailure(reasons: ReadonlyMap<string, string>): ClientFailure {
  const each = [...reasons].map(([address, reason]) => `${address}: ${reason}`).join('; ')
  return {
    code: 'NO_CONTROL',
    message: `no server can be reached (${each})`,
    hint: 'Check that the servers run and that `servers` names their peer addresses.',
  }
}

export function waitedFailure(what: string): ClientFailure {
  return {
    code: 'TIMEOUT',
    message: `${what} got no response in time`,
    hint: 'Check that a majority of the voting nodes is up: see `ashlar cluster info`.',
  }
}

export function controlFailure(done: AdminDone): ClientFailure {
  const code = codeOfResponse(done.code)
  const message = done.message === '' ? `the cluster refused the command (${code})` : done.message
  return { code, message, ...(done.hint === '' ? {} : { hint: done.hint }) }
}
