import { BLOCK_ABSENT, BLOCK_DATA, type BlockVersion } from '@ashlar/proto'
import { VersionTable } from '../../../src/core/blocks/index.ts'
import type { Head, LoadedBlock, StoredReplica } from '../../../src/core/machine.ts'
import { DedupeWindows } from '../../../src/core/replication/index.ts'
import { BLOCKS, EXTENT } from './requests.ts'

const EMPTY_HEAD: Head = {
  promised: 0,
  led: 0,
  lastEpoch: 0,
  lastSeq: 0,
  commitSeq: 0,
  generation: 0,
  record: undefined,
} as unknown as Head

/** A store's disk: what was handed over, and what is on stable storage. */
export class Disk {
  table = new VersionTable(BLOCKS)
  bytes = new Map<number, Uint8Array>()
  head: Head = EMPTY_HEAD
  windows = new DedupeWindows()
  exists = false
  /** Undo is a copy: small enough for a test. */
  private durable: {
    blocks: Map<number, { version: BlockVersion; bytes: Uint8Array | undefined }>
    head: Head
    windows: DedupeWindows
    exists: boolean
  } = {
    blocks: new Map(),
    head: EMPTY_HEAD,
    windows: new DedupeWindows(),
    exists: false,
  }
  readonly damaged = new Set<number>()

  load(block: number): LoadedBlock {
    const version = this.table.get(block)
    const bytes = this.bytes.get(block)
    const damaged = version.kind === BLOCK_DATA && (bytes === undefined || this.damaged.has(block))
    return { block, version, damaged, ...(bytes === undefined || damaged ? {} : { bytes }) }
  }

  /** What opening the store would give. */
  stored(): StoredReplica {
    return { extent: EXTENT, head: this.head, windows: this.windows.snapshot(), damaged: [...this.damaged] }
  }

  /** What is handed over becomes durable. */
  sync(): void {
    const blocks = new Map<number, { version: BlockVersion; bytes: Uint8Array | undefined }>()
    for (let block = 0; block < BLOCKS; block++) {
      const version = this.table.get(block)
      if (version.kind !== BLOCK_ABSENT) blocks.set(block, { version, bytes: this.bytes.get(block) })
    }
    const windows = new DedupeWindows()
    windows.replace(this.windows.snapshot())
    this.durable = { blocks, head: this.head, windows, exists: this.exists }
  }

  /** Forgets what is not durable. */
  crash(): void {
    this.table = new VersionTable(BLOCKS)
    this.bytes = new Map()
    for (const [block, { version, bytes }] of this.durable.blocks) {
      this.table.set(block, version)
      if (bytes !== undefined) this.bytes.set(block, bytes)
    }
    this.head = this.durable.head
    this.windows = new DedupeWindows()
    this.windows.replace(this.durable.windows.snapshot())
    this.exists = this.durable.exists
  }
}
