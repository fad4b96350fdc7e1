import type { Effect, Fact, Input } from '../core/machine.ts'
import type { ControlLog } from '../storage/control-log/index.ts'
import type { Store } from '../storage/store.ts'
import type { Transport } from '../transport/transport.ts'
import { readDone } from './reply-read.ts'

type AdminDoneEffect = Extract<Effect, { type: 'admin-done' }>

/** What effects are carried out with. */
export interface Carriers {
  readonly store: Store
  readonly transport: Transport
  /** The control log, opened or made at the first use. */
  readonly controlLog: () => Promise<ControlLog>
  readonly feed: (input: Input) => void
  readonly onAdminDone: (effect: AdminDoneEffect) => void
  readonly onFact: (fact: Fact) => void
  readonly onHandedOver: () => void
  /** The process cannot go on; said once. */
  readonly onFatal: (reason: string, cause?: unknown) => void
}

/** Carries one effect out. Completions come back through `feed`, never from inside this call. */
export function carry(carriers: Carriers, effect: Effect): void {
  switch (effect.type) {
    case 'send':
      // A link that is full or down drops the message: link-down follows, and whoever needs an answer asks again.
      carriers.transport.send(effect.link, effect.message)
      return
    case 'reply-read':
      carriers.transport.send(effect.link, readDone(effect))
      return
    case 'close-link':
      return carriers.transport.closeLink(effect.link, effect.reason)
    case 'dial':
      return carriers.transport.setDialed(effect.addresses)
    case 'log-append':
      return appendToLog(carriers, effect)
    case 'save-cluster':
      carriers.store.saveCluster(effect.cluster, effect.voters, effect.founded).then(
        () => carriers.feed({ type: 'cluster-saved' }),
        (cause) => carriers.onFatal('the identity of the store could not be written', cause),
      )
      return
    case 'admin-done':
      return carriers.onAdminDone(effect)
    case 'fact':
      return carriers.onFact(effect.fact)
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
