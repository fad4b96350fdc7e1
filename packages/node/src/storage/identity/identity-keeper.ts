import type { ClusterId, ExtentId, Voter } from '@ashlar/proto'
import type { Batch } from '../commit/batch.ts'
import type { CommitQueue } from '../commit/commit-queue.ts'
import { driverPoisonedError } from '../errors.ts'
import { formatOf, type IdentityValue, putIdentity } from '../repositories/identity-repository.ts'
import type { StoreIdentity } from '../store.ts'
import { clearSuspicion, suspect } from './suspicion.ts'

/** The identity of an open store: who it is, which cluster it belongs to, and whether it can be trusted. */
export class IdentityKeeper {
  readonly #queue: CommitQueue
  /** As it was at the opening: the store registers with it, and a later opening with what was learned since. */
  readonly #trust: StoreIdentity['trust']
  readonly #suspicion: StoreIdentity['suspicion']
  readonly #onCleared: () => void
  /** As it is now: a store that was opened as suspect is trusted from the moment at which its next opening would be (A2.17-4). */
  #trustNow: StoreIdentity['trust']
  /** The batch with which the last suspect replica was compared or dropped. */
  #clearing: Batch | undefined
  readonly #savings = new Set<(error: unknown) => void>()
  #value: IdentityValue

  constructor(queue: CommitQueue, value: IdentityValue, onCleared: () => void) {
    this.#queue = queue
    this.#value = value
    this.#onCleared = onCleared
    this.#trust = value.suspicion === undefined ? 'trusted' : 'suspect'
    this.#trustNow = this.#trust
    this.#suspicion = value.suspicion?.reason
  }

  get identity(): StoreIdentity {
    const { store, cluster, voters, founded, bootId, startCounter, featureLevel = 0 } = this.#value
    const incarnation = { bootId, counter: startCounter }
    const belongs = { store, cluster, voters, founded, featureLevel }
    return { ...belongs, incarnation, trust: this.#trust, suspicion: this.#suspicion }
  }

  /** Trusted: damage that is found from here on ends this incarnation, and no read returns it. */
  get trustNow(): StoreIdentity['trust'] {
    return this.#trustNow
  }

  /** Resolves when it is on stable storage; rejects when the store fails before that. */
  saveCluster(cluster: ClusterId, voters: readonly Voter[], founded: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#savings.add(reject)
      this.#write({ cluster, voters, founded }, () => {
        this.#savings.delete(reject)
        resolve()
      })
    })
  }

  /** The cluster is at this feature level. On stable storage before anything that is handed over later. */
  saveLevel(featureLevel: number): void {
    this.#write({ featureLevel, formatVersion: formatOf(featureLevel) })
  }

  /** Something on disk may be missing from these replicas. `kept` is called once that is on stable storage. */
  suspect(reason: string, extents: Iterable<ExtentId>, kept?: () => void): void {
    const { suspicion, startCounter } = this.#value
    this.#write({ suspicion: suspect(suspicion, reason, startCounter, extents) }, kept)
  }

  /** The replica is on the list of those that have to be compared. */
  suspects(extent: ExtentId): boolean {
    return this.#value.suspicion?.extents.includes(extent) === true
  }

  /** A replica was compared with a primary or dropped by what this batch carries. */
  clearSuspicion(extent: ExtentId, batch: Batch): void {
    const suspicion = clearSuspicion(this.#value.suspicion, extent)
    if (suspicion === this.#value.suspicion) return
    this.#keepSuspicion(suspicion, batch)
    if (suspicion === undefined) this.#clearing = batch
  }

  /**
   * A replica was created by what this batch carries. Of a suspect store it may be one whose creation was lost, so that it
   * is compared like the others before the store is trusted.
   */
  created(extent: ExtentId, batch: Batch): void {
    const { suspicion } = this.#value
    if (suspicion === undefined) return
    this.#keepSuspicion(suspect(suspicion, suspicion.reason, suspicion.since, [extent]), batch)
  }

  #keepSuspicion(suspicion: IdentityValue['suspicion'], batch: Batch): void {
    this.#value = { ...this.#value, suspicion }
    batch.operations.push(putIdentity(this.#value))
  }

  /** A batch is on stable storage. Damage that was found after it was built makes the store suspect again. */
  synced(batch: Batch): void {
    if (batch !== this.#clearing) return
    this.#clearing = undefined
    if (this.#trust === 'trusted' || this.#value.suspicion !== undefined) return
    this.#trustNow = 'trusted'
    this.#onCleared()
  }

  /** The last thing that is written. */
  endCleanly(): void {
    const { suspicion } = this.#value
    // A suspect store without a replica has nothing that could be compared: it starts afresh.
    this.#write({ suspicion: suspicion?.extents.length === 0 ? undefined : suspicion, cleanShutdown: true })
  }

  /** The store failed: nothing that waits will be written. */
  fail(cause: unknown): void {
    for (const reject of this.#savings) reject(driverPoisonedError(cause))
    this.#savings.clear()
  }

  #write(change: Partial<IdentityValue>, done: () => void = () => undefined): void {
    this.#value = { ...this.#value, ...change }
    this.#queue.push({
      bytes: IDENTITY_BYTES,
      ready: () => true,
      // The newest one and not the one of the call: a batch in between may have changed it.
      build: (batch) => batch.operations.push(putIdentity(this.#value)),
      done,
    })
  }
}

/** Bytes of an identity with its key, about. */
const IDENTITY_BYTES = 1024
