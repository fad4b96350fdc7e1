import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import type { Bytes, StoreId } from '@ashlar/proto'
import { Batch } from '../commit/batch.ts'
import { addCheckpoint } from '../commit/checkpoint.ts'
import type { StorageDriver } from '../driver.ts'
import { isDiskFull } from '../errors.ts'
import { diskSpace } from '../files/directories.ts'
import { requireIdentity } from '../identity/require-identity.ts'
import { newStoreId } from '../identity/store-id.ts'
import { suspect } from '../identity/suspicion.ts'
import { openLevelDbDriver } from '../leveldb/leveldb-driver.ts'
import { engineFor, LEVELDB_DEFAULTS, type LevelDbOptions } from '../leveldb/options.ts'
import { newStoreMetrics, type StoreMetrics } from '../metrics.ts'
import { STORE_TUNING, type StoreTuning } from '../options.ts'
import { ReplicaStore } from '../replica-store.ts'
import { type IdentityValue, putIdentity, readIdentity } from '../repositories/identity-repository.ts'
import { Ballast, defaultBallastBytes } from '../space/ballast.ts'
import { leavesAt, type ReserveOptions, type Reserves, reservesOf } from '../space/reserves.ts'
import type { Complete } from '../store.ts'
import { completionWithAdvice, type StoreOwner, withAdvice } from './damaged-store.ts'
import { findEvidence, markEngineLogsRead, moveEngineLogs } from './engine-logs.ts'
import { followFormat, formatDriver, formatIfEmpty, readSidecar, removeUnfinishedFormats } from './format.ts'
import { type Layout, layoutOf } from './layout.ts'
import { recomputeDigests, recover } from './recover.ts'

export interface OpenStoreOptions {
  /** The data directory. Made and formatted when it is empty or missing. */
  readonly directory: string
  readonly engine?: Partial<LevelDbOptions>
  readonly tuning?: Partial<StoreTuning>
  /** Size of the ballast file; by default twice the write buffer and 64 MiB, less on small disks. 0: none. */
  readonly ballastBytes?: Bytes
  /** Space that is kept free; absent parts follow from the size of the disk. */
  readonly reserves?: ReserveOptions
  readonly metrics?: StoreMetrics
  /** Named by what is said of a directory that is damaged beyond repair. */
  readonly owner?: StoreOwner
}

/** Lines of evidence that are remembered, so that a LOG which is read a second time adds none. */
const KNOWN_EVIDENCE_LINES = 64

/**
 * Opens the store of a data directory, and formats it first when it is empty. Before it returns, the start counter has
 * risen and is on stable storage. Completions of effects come through `complete`.
 *
 * Throws AshlarError CONFLICT when the directory cannot be used (in use by another process, foreign files, another
 * store's sidecar, a newer format), USAGE when the reserves contradict each other on this disk, and INTERNAL when what is on
 * disk is corrupt or cannot be read; each has a hint.
 */
export async function openStore(options: OpenStoreOptions, complete: Complete): Promise<ReplicaStore> {
  const { directory, owner } = options
  try {
    return await openUnadvised(options, (input) => complete(completionWithAdvice(input, directory, owner)))
  } catch (error) {
    throw withAdvice(error, directory, owner)
  }
}

async function openUnadvised(options: OpenStoreOptions, complete: Complete): Promise<ReplicaStore> {
  await mkdir(options.directory, { recursive: true })
  const { totalBytes } = await diskSpace(options.directory)
  const engine = { ...engineFor(totalBytes), ...options.engine }
  const reserves = reservesOf(options.reserves ?? {}, engine, totalBytes)
  const layout = layoutOf(options.directory)
  await formatIfEmpty(options.directory, engine)
  const store = await readSidecar(layout.sidecar)
  const ballast = await Ballast.at(layout.ballast, options.ballastBytes ?? defaultBallastBytes(engine, totalBytes))
  const driver = await openEngine(layout, engine, ballast)
  try {
    await removeUnfinishedFormats(options.directory)
    await ballast.ensure(leavesAt('tight', reserves))
    const opened: OpenOnDriverOptions = {
      expected: store,
      bootId: await readBootId(),
      evidence: await findEvidence(layout),
      tuning: options.tuning ?? {},
      metrics: options.metrics ?? newStoreMetrics(),
      onStarted: async (identity) => {
        await markEngineLogsRead(layout)
        await followFormat(layout, identity)
      },
      reserves,
      ballast,
    }
    return await openStoreOnDriver(driver, opened, complete)
  } catch (error) {
    await driver.close()
    throw error
  }
}

/** A log of one write buffer becomes tables of the same size (finding 6); the new incarnation is written after that. */
function openingBytes(engine: LevelDbOptions): Bytes {
  return 2 * engine.writeBufferBytes
}

async function openEngine(layout: Layout, engine: LevelDbOptions, ballast: Ballast): Promise<StorageDriver> {
  // The ballast is space to open, so that the store can be read, trimmed and emptied. It is released before LevelDB fails:
  // with an empty log LevelDB opens on a full disk and fails at the first write.
  if ((await diskSpace(layout.store)).freeBytes < openingBytes(engine)) await ballast.release()
  await moveEngineLogs(layout)
  try {
    return await openLevelDbDriver(layout.database, engine)
  } catch (error) {
    if (!isDiskFull(error) || !(await ballast.release())) throw error
    return await openLevelDbDriver(layout.database, engine)
  }
}

export interface OpenOnDriverOptions {
  /** The store id of the sidecar; without one an empty driver is formatted with a new id. */
  readonly expected?: StoreId
  /** Names the boot of the operating system; a random one when it is not given. */
  readonly bootId?: string
  /** Signs from outside the driver that something was lost. */
  readonly evidence?: readonly string[]
  readonly tuning?: Partial<StoreTuning>
  readonly metrics?: StoreMetrics
  /** Called once the new start counter and the evidence are on stable storage. */
  readonly onStarted?: (identity: IdentityValue) => Promise<void>
  /** By default those of a LevelDB on a disk of this size. */
  readonly reserves?: Reserves
  readonly ballast?: Ballast
}

/** Opens a store over any driver; the store closes the driver. Same promises as `openStore`. */
export async function openStoreOnDriver(
  driver: StorageDriver,
  options: OpenOnDriverOptions,
  complete: Complete,
): Promise<ReplicaStore> {
  if (options.expected === undefined && (await readIdentity(driver)) === undefined)
    await formatDriver(driver, newStoreId())
  const before = await requireIdentity(driver, options.expected)
  const recovered = await recover(driver)
  const counter = before.startCounter + 1
  const fresh = (options.evidence ?? []).filter((line) => !before.knownEvidence.includes(line))
  const reasons = [...recovered.evidence, ...fresh]
  const suspicion =
    reasons.length === 0
      ? before.suspicion
      : suspect(before.suspicion, reasons.slice(0, 3).join('; '), counter, recovered.replicas.keys())
  if (reasons.length > 0) {
    for (const replica of recovered.replicas.values()) await recomputeDigests(driver, replica)
  }
  const identity = {
    ...before,
    startCounter: counter,
    bootId: bootIdOfOpening(options.bootId ?? randomUUID()),
    cleanShutdown: false,
    suspicion,
    knownEvidence: [...before.knownEvidence, ...fresh].slice(-KNOWN_EVIDENCE_LINES),
  }
  const { journalStart, journalNext } = recovered
  const checkpointed = { replicas: recovered.replicas, deletedTombstones: new Set<never>(), journalStart }
  const batch = new Batch()
  // A journal that was replayed ends here: a hole in it must not be found, and suspected, a second time.
  addCheckpoint(batch, checkpointed, journalNext)
  batch.operations.push(putIdentity(identity))
  await driver.apply(batch.operations, 'synced')
  await options.onStarted?.(identity)
  const { freeBytes, totalBytes } = await driver.space()
  const reserves = options.reserves ?? reservesOf({}, LEVELDB_DEFAULTS, totalBytes)
  return new ReplicaStore(
    {
      ...recovered,
      driver,
      identity,
      journalStart: journalNext,
      space: { freeBytes, reserves, ...(options.ballast === undefined ? {} : { ballast: options.ballast }) },
      tuning: { ...STORE_TUNING, ...options.tuning },
      metrics: options.metrics ?? newStoreMetrics(),
    },
    complete,
  )
}

/** Random bytes that distinguish two openings of one store. */
const OPENING_BYTES = 12

/**
 * The boot, and a random number of this opening behind it (A2.0-2): a directory that was rolled back counts to a start counter that it
 * had before, on the same boot too. Control compares the text whole, so that builds that know no such number compare it too.
 */
function bootIdOfOpening(boot: string): string {
  return `${boot}/${randomBytes(OPENING_BYTES).toString('base64url')}`
}

/** The boot id of the operating system; a random one where there is none. */
async function readBootId(): Promise<string> {
  return await readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => randomUUID(),
  )
}
