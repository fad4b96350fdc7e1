import type { ClusterId, ExtentId, StoreId, Voter } from '@ashlar/proto'
import { FEATURE_LEVEL, FORMAT_VERSION, isUuid } from '@ashlar/proto'
import type { BatchOperation, StorageDriver } from '../driver.ts'
import { sealed, unsealed } from '../encoding/bytes.ts'
import { STORE_KEY } from '../encoding/keyspace.ts'
import { corruptStoreError, unusableStoreError } from '../errors.ts'

/** Value of `h s`: JSON with a crc32 behind it. */
export interface IdentityValue {
  readonly formatVersion: number
  readonly store: StoreId
  readonly cluster: ClusterId | undefined
  /** Clusters of which `ashlar cluster recover` made this one, oldest first; absent where it made none. */
  readonly formerClusters?: readonly ClusterId[]
  readonly voters: readonly Voter[]
  readonly founded: boolean
  readonly startCounter: number
  readonly bootId: string
  readonly cleanShutdown: boolean
  readonly suspicion: Suspicion | undefined
  /** Lines of LevelDB's LOG that were acted upon: a file is read once as LOG and once more after it was moved. */
  readonly knownEvidence: readonly string[]
  /** Feature level of the cluster that it was written in (amendment 24). Absent: 0, as builds before levels leave it. */
  readonly featureLevel?: number
}

/**
 * Why the store is not trusted (A2.17-1). It is over when every replica of that time was compared with a primary
 * (it got a MARK) or was dropped; without replicas, at the next clean end.
 */
export interface Suspicion {
  readonly reason: string
  /** Start counter at which it arose. */
  readonly since: number
  readonly extents: readonly ExtentId[]
}

/** Format of a data directory at a feature level: an older build opens it until the level is raised, and then refuses it. */
export function formatOf(featureLevel: number): number {
  return featureLevel === 0 ? FORMAT_BEFORE_LEVELS : FORMAT_VERSION
}

const FORMAT_BEFORE_LEVELS = 1

export function newIdentity(store: StoreId): IdentityValue {
  return {
    formatVersion: formatOf(0),
    store,
    cluster: undefined,
    voters: [],
    founded: false,
    startCounter: 0,
    bootId: '',
    cleanShutdown: true,
    suspicion: undefined,
    knownEvidence: [],
  }
}

export function putIdentity(identity: IdentityValue): BatchOperation {
  return { type: 'put', key: STORE_KEY, value: sealed(Buffer.from(JSON.stringify(identity))) }
}

/** The identity, or undefined in an empty database. Throws when it is damaged or of a newer format. */
export async function readIdentity(driver: StorageDriver): Promise<IdentityValue | undefined> {
  const value = await driver.get(STORE_KEY)
  if (value === undefined) return undefined
  const content = unsealed(value)
  if (content === undefined) throw corruptStoreError('the identity of the store does not match its checksum')
  const identity = JSON.parse(content.toString()) as IdentityValue
  refuseNewerFormat(identity.formatVersion)
  refuseNewerLevel(identity.featureLevel ?? 0)
  if (!isUuid(identity.store)) throw corruptStoreError('the identity of the store holds no store id')
  return { ...identity, cluster: identity.cluster, suspicion: identity.suspicion }
}

function refuseNewerLevel(level: number): void {
  if (level > FEATURE_LEVEL) {
    throw unusableStoreError(
      `the data directory was written at feature level ${level}, but this version of ashlar knows levels up to ${FEATURE_LEVEL}`,
      'Start the version that wrote it, or a newer one.',
    )
  }
}

/** Throws for a data directory that a newer version of the software wrote. */
export function refuseNewerFormat(formatVersion: number): void {
  if (formatVersion > FORMAT_VERSION) {
    throw unusableStoreError(
      `the data directory has format ${formatVersion}, but this version of ashlar reads formats up to ${FORMAT_VERSION}`,
      'Start the version that wrote it, or a newer one.',
    )
  }
}
