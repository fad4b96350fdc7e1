import type { Message } from '@ashlar/proto'
import type { Effect, Input, Link, MachineEvent } from '../core/machine.ts'
import type { ControlLog } from '../storage/control-log/index.ts'
import type { Store } from '../storage/store.ts'
import { readDone } from './reply-read.ts'

type AdminDoneEffect = Extract<Effect, { type: 'admin-done' }>

/** What effects are carried out with. */
export interface Carriers {
  readonly store: Store
  /** A link that is full or down drops the message: link-down follows, and whoever needs an answer asks again. */
  readonly send: (link: Link, message: Message) => void
  readonly closeLink: (link: Link, reason: string) => void
  readonly dial: (addresses: readonly string[]) => void
  /** The control log, opened or made at the first use. */
  readonly controlLog: () => Promise<ControlLog>
  readonly feed: (input: Input) => void
  readonly onAdminDone: (effect: AdminDoneEffect) => void
  readonly onMachineEvent: (event: MachineEvent) => void
  readonly onHandedOver: () => void
  /** The process cannot go on; said once. */
  readonly onFatal: (reason: string, cause?: unknown) => void
}

/** Carries one effect out. Completions come back through `feed`, never from inside this call. */
export function carry(carriers: Carriers, effect: Effect): void {
  switch (effect.type) {
    case 'send':
      return carriers.send(effect.link, effect.message)
    case 'reply-read':
      return carriers.send(effect.link, readDone(effect))
    case 'close-link':
      return carriers.closeLink(effect.link, effect.reason)
    case 'dial':
      return carriers.dial(effect.addresses)
    case 'log-append':
      return appendToLog(carriers, effect)
    case 'raft-persist':
      return persistRaft(carriers, effect)
    case 'save-cluster':
      return saveCluster(carriers, effect)
    case 'admin-done':
      return carriers.onAdminDone(effect)
    case 'event':
      return carriers.onMachineEvent(effect.event)
    case 'handed-over':
      return carriers.onHandedOver()
    case 'fatal':
      return carriers.onFatal(effect.reason)
    default:
      return carriers.store.execute(effect)
  }
}

/** Entries are appended in the order of the effects; a failed sync is never tried again (raft pitfall 36). */
function appendToLog(carriers: Carriers, effect: Extract<Effect, { type: 'log-append' }>): void {
  carriers
    .controlLog()
    .then((log) => log.append([effect.entry]))
    .then(
      () => carriers.feed({ type: 'log-appended', index: effect.index }),
      (cause) => carriers.onFatal('the control log could not be written', cause),
    )
}

function persistRaft(carriers: Carriers, { request }: Extract<Effect, { type: 'raft-persist' }>): void {
  carriers
    .controlLog()
    .then((log) => log.persist(request))
    .then(
      () => carriers.feed({ type: 'raft-persisted', token: request.token }),
      (cause) => carriers.onFatal('the control log could not be written', cause),
    )
}

function saveCluster(carriers: Carriers, effect: Extract<Effect, { type: 'save-cluster' }>): void {
  carriers.store.saveCluster(effect.cluster, effect.voters, effect.founded).then(
    () => carriers.feed({ type: 'cluster-saved' }),
    (cause) => carriers.onFatal('the identity of the store could not be written', cause),
  )
}
