import { open as openFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Members } from '../../core/control/index.ts'
import type { Snapshot } from '../../core/raft/index.ts'
import { corruptStoreError } from '../errors.ts'
import { syncDirectory } from '../files/directories.ts'
import { readIfThere, writeAll } from './files.ts'

/**
 * The snapshot of the control log: one file, replaced whole (written beside, synced, renamed, directory synced), so that
 * there is always a whole one before anything of the log is dropped. Big-endian:
 *
 *    0  8   `ASHSNAP1`
 *    8  u32 crc32 of everything from byte 12 on
 *   12  u64 index of the last entry that it covers
 *   20  u64 term of that entry
 *   28  u32 length of the members
 *   32      members as JSON, then the state
 */
export const SNAPSHOT_NAME = 'snapshot'
export const SNAPSHOT_TEMPORARY_NAME = 'snapshot.new'
const MAGIC = Buffer.from('ASHSNAP1')
const CHECKED_FROM = 12
const HEADER_BYTES = 32

/** Resolves when the snapshot is on stable storage under its name. */
export async function writeSnapshot(directory: string, { index, term, members, state }: Snapshot): Promise<void> {
  const who = Buffer.from(JSON.stringify(members))
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header.writeBigUInt64BE(BigInt(index), 12)
  header.writeBigUInt64BE(BigInt(term), 20)
  header.writeUInt32BE(who.length, 28)
  const checked = [header.subarray(CHECKED_FROM), who, state]
  header.writeUInt32BE(
    checked.reduce((sum, bytes) => crc32(bytes, sum), 0),
    8,
  )
  const temporary = join(directory, SNAPSHOT_TEMPORARY_NAME)
  const handle = await openFile(temporary, 'w')
  try {
    await writeAll(handle, Buffer.concat([header, who, state]), 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, join(directory, SNAPSHOT_NAME))
  await syncDirectory(directory)
}

/** The snapshot, or undefined when there is none. Rejects with INTERNAL when it is damaged. */
export async function readSnapshot(directory: string): Promise<Snapshot | undefined> {
  // One that was not renamed was not finished.
  await rm(join(directory, SNAPSHOT_TEMPORARY_NAME), { force: true })
  const path = join(directory, SNAPSHOT_NAME)
  const bytes = await readIfThere(path)
  if (bytes === undefined) return undefined
  const isWhole = bytes.length >= HEADER_BYTES && bytes.subarray(0, MAGIC.length).equals(MAGIC)
  if (!isWhole || crc32(bytes.subarray(CHECKED_FROM)) !== bytes.readUInt32BE(8))
    throw corruptStoreError(`the snapshot of the control log ${path} is damaged`)
  const stateAt = HEADER_BYTES + bytes.readUInt32BE(28)
  return {
    index: Number(bytes.readBigUInt64BE(12)),
    term: Number(bytes.readBigUInt64BE(20)),
    members: JSON.parse(bytes.toString('utf8', HEADER_BYTES, stateAt)) as Members,
    state: new Uint8Array(bytes.subarray(stateAt)),
  }
}
