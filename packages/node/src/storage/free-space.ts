import type { Bytes } from '@ashlar/proto'
import type { StorageDriver } from './driver.ts'

const REFRESH_MS = 1000

/** Free bytes of the file system: asked for once a second, less what was written since. */
export class FreeSpace {
  readonly #driver: StorageDriver
  readonly #timer: NodeJS.Timeout
  readonly #onFailed: (error: unknown) => void
  #bytes: Bytes
  #writtenSince: Bytes = 0
  #asking = false

  constructor(driver: StorageDriver, bytes: Bytes, onFailed: (error: unknown) => void) {
    this.#driver = driver
    this.#bytes = bytes
    this.#onFailed = onFailed
    this.#timer = setInterval(() => this.#refresh(), REFRESH_MS)
    this.#timer.unref()
  }

  get bytes(): Bytes {
    return Math.max(0, this.#bytes - this.#writtenSince)
  }

  wrote(bytes: Bytes): void {
    this.#writtenSince += bytes
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #refresh(): void {
    if (this.#asking) return
    this.#asking = true
    const before = this.#writtenSince
    this.#driver.freeBytes().then((bytes) => {
      this.#asking = false
      this.#bytes = bytes
      this.#writtenSince -= before
    }, this.#onFailed)
  }
}
