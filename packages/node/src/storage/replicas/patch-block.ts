import { type Bytes, invariant } from '@ashlar/proto'

export interface Patch {
  readonly offset: Bytes
  readonly length: Bytes
  readonly bytes?: Uint8Array
}

/** A new block: the base (zeroes without one) with the patches laid over it in order; one without bytes is zeroes. */
export function applyPatches(
  base: Uint8Array | undefined,
  blockSizeBytes: Bytes,
  patches: readonly Patch[],
): Uint8Array {
  const merged = new Uint8Array(blockSizeBytes)
  invariant(base === undefined || base.length === blockSizeBytes, 'a block is read whole')
  if (base !== undefined) merged.set(base)
  for (const { offset, length, bytes } of patches) {
    invariant(offset >= 0 && offset + length <= blockSizeBytes, 'a patch lies in its block')
    invariant(bytes === undefined || bytes.length >= length, 'a patch has all of its bytes')
    if (bytes === undefined) merged.fill(0, offset, offset + length)
    else merged.set(bytes.subarray(0, length), offset)
  }
  return merged
}
