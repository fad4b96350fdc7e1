import { type ExtentId, invariant } from '@ashlar/proto'
import type { BatchOperation } from '../driver.ts'
import { journalKey } from '../encoding/keyspace.ts'
import { encodeJournal, type JournalSection, newSection } from '../repositories/journal-repository.ts'

/** One batch while it is being built: operations for the driver, and what the journal will say about them. */
export class Batch {
  readonly operations: BatchOperation[] = []
  /** A checkpoint covers every journal key before it and needs none itself. */
  journaled = true
  blocks = 0
  bytes = 0
  readonly #sections = new Map<ExtentId, JournalSection>()

  /** True when there is nothing to write: a change of a head alone has no operations, but a section. */
  get isEmpty(): boolean {
    return this.operations.length === 0 && this.#sections.size === 0
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.operations.push({ type: 'put', key, value })
  }

  del(key: Uint8Array): void {
    this.operations.push({ type: 'del', key })
  }

  /** The journal section of one extent. */
  section(extent: ExtentId): JournalSection {
    let section = this.#sections.get(extent)
    if (section === undefined) {
      section = newSection(extent)
      this.#sections.set(extent, section)
    }
    return section
  }

  /** Adds the journal key of this batch. */
  seal(number: number): void {
    invariant(this.journaled, 'a batch with a checkpoint has no journal key')
    this.put(journalKey(number), encodeJournal(this.#sections.values(), this.#sections.size))
  }
}
