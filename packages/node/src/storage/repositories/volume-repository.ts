import type { Bytes, VolumeId } from '@ashlar/proto'
import { Packr } from 'msgpackr'
import type { BatchOperation } from '../driver.ts'
import { sealed, unsealed } from '../encoding/bytes.ts'
import { volumeKey } from '../encoding/keyspace.ts'

/** Value of an `o` key, what this store knows of a volume: MessagePack with a crc32 behind it (amendment 16). */
export interface VolumeValue {
  readonly name: string
  readonly blockSizeBytes: Bytes
  /** Longest extent of it on this store: the extent size, unless only a short last one is here. */
  readonly longestExtentBytes: Bytes
  /** M, once a record of one of its extents was seen; else 0. */
  readonly replicas: number
}

const packr = new Packr({ useRecords: false })

export function putVolume(volume: VolumeId, value: VolumeValue): BatchOperation {
  return { type: 'put', key: volumeKey(volume), value: sealed(packr.pack(value)) }
}

/** The value, or undefined when it does not match its checksum. */
export function decodeVolume(bytes: Uint8Array): VolumeValue | undefined {
  const content = unsealed(bytes)
  return content === undefined ? undefined : (packr.unpack(content) as VolumeValue)
}
