/** Versions of blocks in memory and the digests over them: pure, shared by the store, the simulator and recovery. */
export {
  addDigest,
  addVersion,
  DIGEST_BYTES,
  DIGEST_LANES,
  digestBytes,
  digestOf,
  digestsBytes,
  digestsFromBytes,
  subtractVersion,
} from './digest.ts'
export { ExtentDigests } from './extent-digests.ts'
export { LeafTable, leafCount, leafOf } from './leaf-table.ts'
export { KindRuns, VersionTable } from './version-table.ts'
