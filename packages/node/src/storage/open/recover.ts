import type { ExtentId, VolumeId } from '@ashlar/proto'
import type { StorageDriver } from '../driver.ts'
import {
  batchOfKey,
  blockOfKey,
  extentOfKey,
  JOURNAL_START_KEY,
  volumeOfKey,
  wholeSpace,
} from '../encoding/keyspace.ts'
import { corruptStoreError } from '../errors.ts'
import { applySection } from '../replicas/apply-section.ts'
import { scanLeaves } from '../replicas/leaf-cache.ts'
import { LocalReplica } from '../replicas/local-replica.ts'
import { readDigests } from '../repositories/digest-repository.ts'
import { decodeHead } from '../repositories/head-repository.ts'
import { decodeJournal, decodeJournalStart } from '../repositories/journal-repository.ts'
import { decodeVolume, type VolumeValue } from '../repositories/volume-repository.ts'

/** What a store holds in memory once it is open. */
export interface RecoveredState {
  readonly replicas: Map<ExtentId, LocalReplica>
  readonly volumes: Map<VolumeId, VolumeValue>
  /** Dropped replicas whose keys are not all deleted yet. */
  readonly tombstones: Set<ExtentId>
  /** Journal keys on disk: from the first (included) to the next one to write (excluded). */
  readonly journalStart: number
  readonly journalNext: number
  /** Signs that something acknowledged may be missing (A2.17-1); empty for a sound store. */
  readonly evidence: string[]
}

/** Reads heads, digests and damaged blocks as of the last checkpoint and replays the journal over them. */
export async function recover(driver: StorageDriver): Promise<RecoveredState> {
  const evidence: string[] = []
  const tombstones = new Set<ExtentId>()
  for await (const { key } of driver.scan(wholeSpace('tombstone'))) tombstones.add(extentOfKey(key))
  const replicas = await readReplicas(driver)
  const volumes = new Map<VolumeId, VolumeValue>()
  for await (const { key, value } of driver.scan(wholeSpace('volume'))) {
    const volume = decodeVolume(value)
    if (volume !== undefined) volumes.set(volumeOfKey(key), volume)
  }
  for (const extent of await readDigests(driver, replicas)) {
    evidence.push(`digests of extent ${extent} do not match their checksum`)
  }
  for await (const { key } of driver.scan(wholeSpace('damaged'))) {
    replicas.get(extentOfKey(key))?.damaged.add(blockOfKey(key))
  }
  const { start, next } = await replayJournal(driver, replicas, tombstones, evidence)
  return { replicas, volumes, tombstones, journalStart: start, journalNext: next, evidence }
}

async function readReplicas(driver: StorageDriver): Promise<Map<ExtentId, LocalReplica>> {
  const replicas = new Map<ExtentId, LocalReplica>()
  for await (const { key, value } of driver.scan(wholeSpace('head'))) {
    const extent = extentOfKey(key)
    const head = decodeHead(value)
    // The promised epoch is unknown, so that the store could break its promise: it must not go on under this identity.
    if (head === undefined) throw corruptStoreError(`the head of extent ${extent} does not match its checksum`)
    replicas.set(extent, new LocalReplica(extent, head))
  }
  return replicas
}

async function replayJournal(
  driver: StorageDriver,
  replicas: ReadonlyMap<ExtentId, LocalReplica>,
  tombstones: ReadonlySet<ExtentId>,
  evidence: string[],
): Promise<{ start: number; next: number }> {
  const startValue = await driver.get(JOURNAL_START_KEY)
  const start = startValue === undefined ? undefined : decodeJournalStart(startValue)
  if (start === undefined) throw corruptStoreError('the start of the journal is missing or does not match its checksum')
  let first = start
  let next = start
  for await (const { key, value } of driver.scan(wholeSpace('journal'))) {
    const batch = batchOfKey(key)
    first = Math.min(first, batch)
    if (batch !== next) evidence.push(`batch ${next} is missing from the journal, batch ${batch} follows`)
    next = batch + 1
    const sections = decodeJournal(value)
    if (sections === undefined) {
      evidence.push(`batch ${batch} of the journal does not match its checksum`)
      continue
    }
    for (const section of sections) {
      const replica = replicas.get(section.extent)
      if (replica !== undefined) applySection(replica, section)
      else if (!tombstones.has(section.extent)) {
        evidence.push(`batch ${batch} of the journal changes extent ${section.extent}, which is not here`)
      }
    }
  }
  return { start: first, next }
}

/**
 * Recomputes every digest from the versions on disk. Only for a suspect store: a hole in the journal leaves the stored digests
 * wrong, and a comparison that trusted them would miss the lost versions.
 */
export async function recomputeDigests(driver: StorageDriver, replica: LocalReplica): Promise<void> {
  const { digests } = replica
  for (let leaf = 0; leaf < digests.leaves; leaf += SCAN_LEAVES) {
    const tables = await scanLeaves(driver, replica, leaf, Math.min(SCAN_LEAVES, digests.leaves - leaf))
    for (const table of tables) replica.adoptLeaf(table)
  }
}

const SCAN_LEAVES = 256
