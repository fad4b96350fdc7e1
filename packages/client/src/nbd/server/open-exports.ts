import { AshlarError } from '@ashlar/proto'
import type { BlockDevice } from '../device/device.ts'
import { type ListedExport, quoteName } from '../protocol/index.ts'
import { type ExportInfo, type ExportProvider, infoOf } from './exports.ts'
import { WriteOrder } from './write-order.ts'

/** What an open export needs to know of a connection that uses it. */
export interface ExportUser {
  /** The device is permanently lost: the connection must end. */
  onExportLost(error: AshlarError): void
}

/** An export that at least one connection has open. */
export class OpenExport {
  readonly facts: ExportInfo
  readonly device: BlockDevice
  /** Orders overlapping writes of all connections. */
  readonly order = new WriteOrder()
  readonly users = new Set<ExportUser>()
  /** No connection uses it any more: events of the device are ignored. */
  closed = false
  /** Why the device is permanently lost. */
  lost: AshlarError | undefined
  #leaving = new Set<Promise<void>>()

  constructor(facts: ExportInfo, device: BlockDevice) {
    this.facts = facts
    this.device = device
  }

  /** A connection stopped serving; `settled` resolves when none of its requests is being executed any more. */
  leave(settled: Promise<void>): void {
    this.#leaving.add(settled)
    settled.then(() => this.#leaving.delete(settled))
  }

  /**
   * Resolves when what connections that have left still had in flight is done. A new connection is served only then.
   */
  async predecessorsSettled(): Promise<void> {
    for (const settled of [...this.#leaving]) await settled
  }
}

interface Entry {
  readonly opening: Promise<OpenExport>
  references: number
}

/** The exports that are open, each once, however many connections use it. */
export class OpenExports {
  readonly #provider: ExportProvider
  readonly #onLost: (name: string, error: AshlarError) => void
  readonly #entries = new Map<string, Entry>()
  /** How many connections use what was opened, also of exports that were lost meanwhile. */
  readonly #references = new Map<OpenExport, Entry>()
  readonly #closing = new Map<string, Promise<void>>()
  /** Fenced exports stay lost: to attach again would take the volume from its new holder (amendment 23). */
  readonly #lost = new Map<string, AshlarError>()

  constructor(provider: ExportProvider, onLost: (name: string, error: AshlarError) => void) {
    this.#provider = provider
    this.#onLost = onLost
  }

  async list(): Promise<readonly ListedExport[]> {
    return this.#provider.list()
  }

  /** Undefined when there is no such export. The empty name means the only export, where there is only one. */
  async describe(name: string): Promise<ExportInfo | undefined> {
    const known = await this.#resolve(name)
    return known === undefined ? undefined : this.#provider.describe(known)
  }

  /**
   * Opens an export, or adds a user to an open one. Every success needs one `release`. Throws the error of a fenced
   * export. One that was lost while it was opened is returned: the caller checks `lost`.
   */
  async acquire(name: string): Promise<OpenExport> {
    const known = await this.#resolve(name)
    if (known === undefined) throw new AshlarError('NOT_FOUND', `there is no export ${quoteName(name)}`)
    // The caller of `release` gets the outcome of closing; here it only has to be complete.
    while (this.#closing.has(known)) await this.#closing.get(known)
    const lost = this.#lost.get(known)
    if (lost !== undefined) throw lost
    let entry = this.#entries.get(known)
    if (entry === undefined) {
      entry = this.#open(known)
      this.#entries.set(known, entry)
    }
    entry.references++
    try {
      return await entry.opening
    } catch (error) {
      if (this.#entries.get(known) === entry) this.#entries.delete(known)
      throw error
    }
  }

  /** Releases one `acquire`, after the connection has settled; the last one closes the device. */
  async release(open: OpenExport): Promise<void> {
    const name = open.facts.name
    const entry = this.#references.get(open)
    if (entry === undefined || --entry.references > 0) return
    this.#references.delete(open)
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
    open.closed = true
    const before = this.#closing.get(name)
    const closing = open.device.close()
    const over = Promise.allSettled([before, closing]).then(() => {
      if (this.#closing.get(name) === over) this.#closing.delete(name)
    })
    this.#closing.set(name, over)
    await closing
  }

  /** Resolves when every device that is being closed is closed. */
  async closed(): Promise<void> {
    for (const closing of [...this.#closing.values()]) await closing
  }

  /**
   * The device failed permanently. Reported once, however many requests fail. Only a fenced export stays lost: a volume
   * that was removed may exist again, as another one.
   */
  lose(open: OpenExport, error: AshlarError): void {
    const name = open.facts.name
    if (open.closed || open.lost !== undefined) return
    open.lost = error
    if (error.code === 'FENCED') this.#lost.set(name, error)
    const entry = this.#references.get(open)
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
    for (const user of [...open.users]) user.onExportLost(error)
    this.#onLost(name, error)
  }

  #open(name: string): Entry {
    const entry: Entry = { opening: this.#openDevice(name, () => entry), references: 0 }
    return entry
  }

  async #openDevice(name: string, entryOf: () => Entry): Promise<OpenExport> {
    const facts = await this.#provider.describe(name)
    if (facts === undefined) throw new AshlarError('NOT_FOUND', `there is no export ${quoteName(name)}`)
    const device = await this.#provider.open(name)
    const open = new OpenExport(infoOf(name, device, facts.description), device)
    this.#references.set(open, entryOf())
    device.onLost?.((error) => this.lose(open, error))
    return open
  }

  async #resolve(name: string): Promise<string | undefined> {
    if (name !== '') return name
    const exports = await this.#provider.list()
    return exports.length === 1 ? exports[0]?.name : undefined
  }
}
