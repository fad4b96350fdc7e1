import type { BatchOperation, DiskSpace, Durability, Entry, KeyRange, ScanOptions, StorageDriver } from '../driver.ts'
import { driverClosedError } from '../errors.ts'
import { SortedMap } from '../memory/sorted-map.ts'

/**
 * A filter with the same port in and out that loses unsynced batches on demand, as a power cut does. A buffered batch
 * stays in the filter and is laid over what the driver below gives, until a synced one takes it along; `cut` decides for
 * each batch that is still unsynced whether it survives. One that is lost may be older than one that survives: LevelDB
 * does the same across a log rotation (finding 1), and the port does not promise more.
 */
export class ForgetfulDriver implements StorageDriver {
  readonly capabilities: StorageDriver['capabilities']
  readonly #below: StorageDriver
  /** Batches that a cut may lose, oldest first. */
  #unsynced: (readonly BatchOperation[])[] = []
  #overlay = new Overlay()
  #down = false

  constructor(below: StorageDriver) {
    this.#below = below
    this.capabilities = below.capabilities
  }

  /** Buffered batches that a cut could lose now. */
  get unsyncedBatches(): number {
    return this.#unsynced.length
  }

  /**
   * The power goes: each unsynced batch for which `survives` says true, given its place among them (0 is the oldest),
   * reaches the disk, the others never do. Every later call rejects and the driver below is closed; open it again to see
   * what is left.
   */
  async cut(survives: (index: number) => boolean): Promise<void> {
    if (this.#down) throw driverClosedError()
    this.#down = true
    const kept = this.#unsynced.filter((_, index) => survives(index))
    if (kept.length > 0) await this.#below.apply(kept.flat(), 'synced')
    await this.#below.close()
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const [value] = await this.getMany([key])
    return value
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#assertUp()
    const overlaid = keys.map((key) => this.#overlay.get(key))
    const values = await this.#below.getMany(keys)
    return overlaid.map((overlay, index) => (overlay === undefined ? values[index] : (overlay.value ?? undefined)))
  }

  async apply(batch: readonly BatchOperation[], durability: Durability): Promise<void> {
    this.#assertUp()
    const copy = batch.map(copyOf)
    this.#unsynced.push(copy)
    this.#overlay.add(copy)
    if (durability === 'buffered') return
    const taken = [...this.#unsynced]
    await this.#below.apply(taken.flat(), 'synced')
    // What came while the driver below was writing stays unsynced.
    this.#unsynced = this.#unsynced.filter((later) => !taken.includes(later))
    this.#overlay = new Overlay()
    for (const later of this.#unsynced) this.#overlay.add(later)
  }

  scan(range: KeyRange, options: ScanOptions = {}): AsyncIterable<Entry> {
    this.#assertUp()
    const over = this.#overlay.range(range)
    const { limit, ...rest } = options
    const below = this.#below.scan(range, over.length === 0 ? options : rest)
    return over.length === 0 ? below : merged(below, over, limit, options.keysOnly === true)
  }

  space(): Promise<DiskSpace> {
    return this.#below.space()
  }

  compact(range: KeyRange): Promise<void> {
    return this.#below.compact(range)
  }

  statistics(): Readonly<Record<string, number>> {
    return { ...this.#below.statistics(), unsynced_batches: this.#unsynced.length }
  }

  /** A clean end: every unsynced batch reaches the disk first. */
  async close(): Promise<void> {
    if (this.#down) return
    this.#down = true
    if (this.#unsynced.length > 0) await this.#below.apply(this.#unsynced.flat(), 'synced')
    await this.#below.close()
  }

  #assertUp(): void {
    if (this.#down) throw driverClosedError()
  }
}

/** Newest value of each key of the unsynced batches; null is a deletion. */
class Overlay {
  readonly #puts = new SortedMap()
  readonly #deletions = new SortedMap()

  add(batch: readonly BatchOperation[]): void {
    for (const operation of batch) {
      if (operation.type === 'put') {
        this.#deletions.delete(operation.key)
        this.#puts.set(operation.key, operation.value)
      } else {
        this.#puts.delete(operation.key)
        this.#deletions.set(operation.key, NO_BYTES)
      }
    }
  }

  get(key: Uint8Array): { value: Uint8Array | null } | undefined {
    const put = this.#puts.get(key)
    if (put !== undefined) return { value: put }
    return this.#deletions.has(key) ? { value: null } : undefined
  }

  range(range: KeyRange): { key: Uint8Array; value: Uint8Array | null }[] {
    const found: { key: Uint8Array; value: Uint8Array | null }[] = [
      ...this.#puts.range(range.from, range.to),
      ...this.#deletions.range(range.from, range.to).map(({ key }) => ({ key, value: null })),
    ]
    return found.sort((a, b) => Buffer.compare(a.key, b.key))
  }
}

async function* merged(
  below: AsyncIterable<Entry>,
  over: readonly { key: Uint8Array; value: Uint8Array | null }[],
  limit: number = Number.POSITIVE_INFINITY,
  keysOnly: boolean,
): AsyncGenerator<Entry> {
  let given = 0
  let at = 0
  for await (const entry of below) {
    while (at < over.length && Buffer.compare((over[at] as Entry).key, entry.key) < 0) {
      const laid = over[at++] as (typeof over)[number]
      if (laid.value === null) continue
      if (given++ >= limit) return
      yield { key: laid.key, value: keysOnly ? NO_BYTES : laid.value }
    }
    let value: Uint8Array | null = entry.value
    const next = over[at]
    if (next !== undefined && Buffer.compare(next.key, entry.key) === 0) {
      at++
      value = next.value
    }
    if (value === null) continue
    if (given++ >= limit) return
    yield { key: entry.key, value: keysOnly ? NO_BYTES : value }
  }
  for (; at < over.length; at++) {
    const laid = over[at] as (typeof over)[number]
    if (laid.value === null) continue
    if (given++ >= limit) return
    yield { key: laid.key, value: keysOnly ? NO_BYTES : laid.value }
  }
}

const NO_BYTES = new Uint8Array(0)

function copyOf(operation: BatchOperation): BatchOperation {
  return operation.type === 'put'
    ? { type: 'put', key: operation.key.slice(), value: operation.value.slice() }
    : { type: 'del', key: operation.key.slice() }
}
