import { defaultExtentSizeBytes, type Geometry, geometryProblem } from './geometry.ts'
import { isName, NAME_RULE } from './ids.ts'
import { LIMITS } from './limits.ts'
import { defaultMinInSync } from './map.ts'
import type { Bytes } from './units.ts'

/** Parameters of a new volume; absent ones get their defaults. */
export interface VolumeRequest {
  readonly name: string
  readonly sizeBytes: Bytes
  /** D; default LIMITS.defaultBlockBytes. */
  readonly blockSizeBytes?: Bytes | undefined
  /** Default: the smallest, from 256 MiB on, that makes at most 4,096 extents. */
  readonly extentSizeBytes?: Bytes | undefined
  /** M; default LIMITS.defaultReplicas. */
  readonly replicas?: number | undefined
  /** Default half of M, rounded up (A2.10-4). */
  readonly minInSync?: number | undefined
}

/** A new volume with all its parameters. */
export interface NewVolume extends Geometry {
  readonly name: string
  readonly replicas: number
  readonly minInSync: number
}

/** The request with its defaults, unchecked. */
export function newVolume(request: VolumeRequest): NewVolume {
  const { name, sizeBytes, blockSizeBytes = LIMITS.defaultBlockBytes, replicas = LIMITS.defaultReplicas } = request
  const { extentSizeBytes = defaultExtentSizeBytes(sizeBytes), minInSync = defaultMinInSync(replicas) } = request
  return { name, sizeBytes, blockSizeBytes, extentSizeBytes, replicas, minInSync }
}

/** Why these parameters are invalid, in one sentence; undefined when they are valid. */
export function newVolumeProblem(volume: NewVolume): string | undefined {
  const { name, replicas, minInSync } = volume
  if (!isName(name)) return `"${name}" is not a volume name: ${NAME_RULE}`
  const problem = geometryProblem(volume)
  if (problem !== undefined) return problem
  if (!isCount(replicas, LIMITS.maxReplicas)) {
    return `replicas must be a whole number from 1 to ${LIMITS.maxReplicas}, not ${replicas}`
  }
  if (!isCount(minInSync, replicas)) {
    return `minInSync must be a whole number from 1 to the ${replicas} replicas, not ${minInSync}`
  }
  return undefined
}

function isCount(value: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= most
}
