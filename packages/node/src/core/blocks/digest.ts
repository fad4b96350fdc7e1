import { BLOCK_ABSENT, type BlockIndex, type BlockVersion, invariant } from '@ashlar/proto'

/**
 * Digest of a set of block versions (A2.1-1): the sum, lane by lane and modulo 2^32, of one 128-bit hash a version.
 * Order does not matter and a version can be subtracted again, so a write updates it with two hashes. Two replicas with
 * equal digests hold equal versions but for a chance of about 2^-128; no party chooses versions to collide.
 *
 *   lanes     4 unsigned 32-bit numbers
 *   bytes     the 4 lanes, each big-endian: 16 bytes, the form on the wire and on disk
 */
export const DIGEST_LANES = 4
export const DIGEST_BYTES = 16

const C1 = 0x239b961b
const C2 = 0xab0e9789
const C3 = 0x38b34ae5
const C4 = 0xa1e38b93
const TWO_32 = 0x1_0000_0000
/** Bytes that are hashed of one version: 8 words. */
const HASHED_BYTES = 32

/** The 4 lanes of one version's hash. An absent block has no part in a digest: 4 zeroes. */
export function digestOf(block: BlockIndex, version: BlockVersion): Uint32Array {
  const lanes = new Uint32Array(DIGEST_LANES)
  accumulate(lanes, 0, block, version, 1)
  return lanes
}

/** Adds the hash of a version to the 4 lanes at `at`. */
export function addVersion(lanes: Uint32Array, at: number, block: BlockIndex, version: BlockVersion): void {
  accumulate(lanes, at, block, version, 1)
}

/** Subtracts the hash of a version from the 4 lanes at `at`. */
export function subtractVersion(lanes: Uint32Array, at: number, block: BlockIndex, version: BlockVersion): void {
  accumulate(lanes, at, block, version, -1)
}

/** Adds the 4 lanes at `sourceAt` to the 4 lanes at `at`. */
export function addDigest(lanes: Uint32Array, at: number, source: Uint32Array, sourceAt: number): void {
  for (let lane = 0; lane < DIGEST_LANES; lane++) {
    lanes[at + lane] = (lanes[at + lane] as number) + (source[sourceAt + lane] as number)
  }
}

/**
 * MurmurHash3_x86_128 (Austin Appleby, public domain) with seed 0 over 8 little-endian words: block, epoch high and low,
 * seq high and low, kind, checksum, zero. They fill two of its 16-byte rounds, so its tail is never needed.
 */
function accumulate(lanes: Uint32Array, at: number, block: BlockIndex, version: BlockVersion, sign: 1 | -1): void {
  if (version.kind === BLOCK_ABSENT) return
  const { epoch, seq, kind, checksum } = version
  let h1 = 0
  let h2 = 0
  let h3 = 0
  let h4 = 0
  for (let round = 0; round < 2; round++) {
    const first = round === 0
    h1 ^= Math.imul(rotate(Math.imul(first ? block : seq, C1), 15), C2)
    h1 = (Math.imul(rotate(h1, 19) + h2, 5) + 0x561ccd1b) | 0
    h2 ^= Math.imul(rotate(Math.imul(first ? epoch / TWO_32 : kind, C2), 16), C3)
    h2 = (Math.imul(rotate(h2, 17) + h3, 5) + 0x0bcaa747) | 0
    h3 ^= Math.imul(rotate(Math.imul(first ? epoch : checksum, C3), 17), C4)
    h3 = (Math.imul(rotate(h3, 15) + h4, 5) + 0x96cd1c35) | 0
    h4 ^= Math.imul(rotate(Math.imul(first ? seq / TWO_32 : 0, C4), 18), C1)
    h4 = (Math.imul(rotate(h4, 13) + h1, 5) + 0x32ac3b17) | 0
  }
  h2 ^= HASHED_BYTES
  h3 ^= HASHED_BYTES
  h4 ^= HASHED_BYTES
  h1 = ((h1 ^ HASHED_BYTES) + h2 + h3 + h4) | 0
  h2 = avalanche(h2 + h1)
  h3 = avalanche(h3 + h1)
  h4 = avalanche(h4 + h1)
  h1 = (avalanche(h1) + h2 + h3 + h4) | 0
  lanes[at] = (lanes[at] as number) + sign * h1
  lanes[at + 1] = (lanes[at + 1] as number) + sign * (h2 + h1)
  lanes[at + 2] = (lanes[at + 2] as number) + sign * (h3 + h1)
  lanes[at + 3] = (lanes[at + 3] as number) + sign * (h4 + h1)
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function avalanche(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** The wire form of the 4 lanes at `at`: 16 new bytes. */
export function digestBytes(lanes: Uint32Array, at = 0): Uint8Array {
  return digestsBytes(lanes.subarray(at, at + DIGEST_LANES))
}

/** The wire form of any number of digests, one after another: 16 new bytes each. */
export function digestsBytes(lanes: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(lanes.length * 4)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < lanes.length; i++) view.setUint32(i * 4, lanes[i] as number)
  return bytes
}

/** The lanes of digests in their wire form; the length must be a multiple of 16. */
export function digestsFromBytes(bytes: Uint8Array): Uint32Array {
  invariant(bytes.length % DIGEST_BYTES === 0, `digests of ${bytes.length} bytes, which is not a multiple of 16`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const lanes = new Uint32Array(bytes.length / 4)
  for (let i = 0; i < lanes.length; i++) lanes[i] = view.getUint32(i * 4)
  return lanes
}
