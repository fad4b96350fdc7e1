import type { Message, NodeEndKind } from '@ashlar/proto'
import type { Effect, Input, Link, MachineEvent } from '../core/machine.ts'
import type { ControlLog } from '../storage/control-log/index.ts'
import { isDiskFull } from '../storage/errors.ts'
import type { Store } from '../storage/store.ts'
import { readDone } from './reply-read.ts'

type AdminDoneEffect = Extract<Effect, { type: 'admin-done' }>

/** What effects are executed with. */
export interface EffectPorts {
  readonly store: Store
  /** A link that is full or down drops the message: link-down follows, and the machine sends its request again. */
  readonly send: (link: Link, message: Message) => void
  readonly closeLink: (link: Link, reason: string) => void
  readonly dial: (addresses: readonly string[]) => void
  /** The control log, opened or made at the first use. */
  readonly controlLog: () => Promise<ControlLog>
  readonly feed: (input: Input) => void
  readonly onAdminDone: (effect: AdminDoneEffect) => void
  readonly onMachineEvent: (event: MachineEvent) => void
  readonly onHandedOver: () => void
  /** The process must end. */
  readonly onFatal: (kind: NodeEndKind, reason: string, cause?: unknown) => void
}

/** Executes one effect. Completions come back through `feed`, never from inside this call. */
export function execute(ports: EffectPorts, effect: Effect): void {
  switch (effect.type) {
    case 'send':
      return ports.send(effect.link, effect.message)
    case 'reply-read':
      return ports.send(effect.link, readDone(effect))
    case 'close-link':
      return ports.closeLink(effect.link, effect.reason)
    case 'dial':
      return ports.dial(effect.addresses)
    case 'log-append':
      return appendToLog(ports, effect)
    case 'raft-persist':
      return persistRaft(ports, effect)
    case 'save-cluster':
      return saveCluster(ports, effect)
    case 'admin-done':
      return ports.onAdminDone(effect)
    case 'event':
      return ports.onMachineEvent(effect.event)
    case 'handed-over':
      return ports.onHandedOver()
    case 'fatal':
      return ports.onFatal(effect.kind, effect.reason)
    default:
      return ports.store.execute(effect)
  }
}

/** Entries are appended in the order of the effects; a failed sync is never retried (raft pitfall 36). */
function appendToLog(ports: EffectPorts, effect: Extract<Effect, { type: 'log-append' }>): void {
  ports
    .controlLog()
    .then((log) => log.append([effect.entry]))
    .then(
      () => ports.feed({ type: 'log-appended', index: effect.index }),
      (cause) => onLogFailed(ports, 'the control log could not be written', cause),
    )
}

function persistRaft(ports: EffectPorts, { request }: Extract<Effect, { type: 'raft-persist' }>): void {
  ports
    .controlLog()
    .then((log) => log.persist(request))
    .then(
      () => ports.feed({ type: 'raft-persisted', token: request.token }),
      (cause) => onLogFailed(ports, 'the control log could not be written', cause),
    )
}

function saveCluster(ports: EffectPorts, effect: Extract<Effect, { type: 'save-cluster' }>): void {
  ports.store.saveCluster(effect.cluster, effect.voters, effect.founded).then(
    () => ports.feed({ type: 'cluster-saved' }),
    (cause) => onLogFailed(ports, 'the identity of the store could not be written', cause),
  )
}

function onLogFailed(ports: EffectPorts, reason: string, cause: unknown): void {
  ports.onFatal(isDiskFull(cause) ? 'disk-full' : 'log-failed', reason, cause)
}
