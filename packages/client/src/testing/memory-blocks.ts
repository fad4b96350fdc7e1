import {
  BLOCK_ABSENT,
  BLOCK_DATA,
  type BlockIndex,
  type BlockKind,
  type Bytes,
  type Cancel,
  type ErrorCode,
  type ExtentId,
  type ReadPart,
  splitBlocks,
  type Write,
  type Zero,
} from '@ashlar/proto'
import { checksum, verifyWrite } from '@ashlar/proto/codec'

interface StoredBlock {
  readonly bytes: Uint8Array
  kind: BlockKind
}

/** What became of the operations of one session on one extent, by number. */
interface SessionOutcomes {
  readonly outcomes: Map<number, 'OK' | 'CANCELLED'>
  /** All below are resolved and forgotten: one that comes late is refused. */
  lowMark: number
}

/** The bytes of all volumes, once for all nodes, and which operations were carried out on them. */
export class MemoryBlocks {
  readonly #extents: Map<ExtentId, Map<BlockIndex, StoredBlock>> = new Map()
  /** By extent and session: numbers of two extents have nothing to do with each other. */
  readonly #sessions: Map<ExtentId, Map<number, SessionOutcomes>> = new Map()

  /** The range in parts cut at block edges, copied. Blocks without data have no bytes. */
  read(extent: ExtentId, blockSizeBytes: Bytes, offset: Bytes, length: Bytes): ReadPart[] {
    const blocks = this.#extents.get(extent)
    return splitBlocks(blockSizeBytes, offset, length).map((part) => {
      const stored = blocks?.get(part.block)
      if (stored?.kind !== BLOCK_DATA) return { length: part.length, checksum: 0 }
      const bytes = stored.bytes.slice(part.offset, part.offset + part.length)
      return { length: part.length, checksum: checksum(bytes), bytes }
    })
  }

  kindOf(extent: ExtentId, block: BlockIndex): BlockKind {
    return this.#extents.get(extent)?.get(block)?.kind ?? BLOCK_ABSENT
  }

  /** Executes an operation once, however often it is sent; a cancel makes sure that it never is. */
  change(message: Write | Zero | Cancel, blockSizeBytes: Bytes): ErrorCode {
    const { session, op, lowMark } = message.operation
    const sessions = this.#sessions.get(message.extent) ?? new Map<number, SessionOutcomes>()
    this.#sessions.set(message.extent, sessions)
    const known = sessions.get(session) ?? { outcomes: new Map(), lowMark: 0 }
    sessions.set(session, known)
    const { outcomes } = known
    if (lowMark > known.lowMark) {
      known.lowMark = lowMark
      for (const number of outcomes.keys()) if (number < lowMark) outcomes.delete(number)
    }
    if (op < known.lowMark) return 'CANCELLED'
    const outcome = outcomes.get(op)
    if (outcome !== undefined) return outcome
    if (message.type === 'write' && !verifyWrite(message, blockSizeBytes)) return 'CHECKSUM'
    outcomes.set(op, message.type === 'cancel' ? 'CANCELLED' : 'OK')
    if (message.type === 'cancel') return 'CANCELLED'
    this.#lay(message, blockSizeBytes)
    return 'OK'
  }

  forget(extent: ExtentId): void {
    this.#extents.delete(extent)
    this.#sessions.delete(extent)
  }

  #lay(message: Write | Zero, blockSizeBytes: Bytes): void {
    const blocks = this.#extents.get(message.extent) ?? new Map<BlockIndex, StoredBlock>()
    this.#extents.set(message.extent, blocks)
    const length = message.type === 'write' ? message.payload.length : message.length
    for (const part of splitBlocks(blockSizeBytes, message.offset, length)) {
      if (message.type === 'zero' && part.length === blockSizeBytes) {
        // A block without data needs no memory.
        blocks.set(part.block, { bytes: NO_BYTES, kind: message.kind })
        continue
      }
      const stored = blocks.get(part.block)
      const bytes = stored?.kind === BLOCK_DATA ? stored.bytes : new Uint8Array(blockSizeBytes)
      if (message.type === 'write') bytes.set(message.payload.subarray(part.at, part.at + part.length), part.offset)
      else bytes.fill(0, part.offset, part.offset + part.length)
      blocks.set(part.block, { bytes, kind: BLOCK_DATA })
    }
  }
}

const NO_BYTES = new Uint8Array(0)
