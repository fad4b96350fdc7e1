import assert from 'node:assert/strict'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Random } from '../../packages/client/test/nbd/support/random.ts'
import { succeed } from './client-runs.ts'

/** Longest file of the exerciser: larger than an extent of the file system's, small enough to compare often. */
const MAX_BYTES = 1024 * 1024
const FILES = 4

/** A file as it has to be. */
interface Model {
  readonly name: string
  handle: FileHandle
  content: Buffer
}

/**
 * A file system exerciser in the manner of fsx: random operations on a few files, each mirrored in memory, and every
 * read compared. The same seed makes the same operations.
 */
export class Exerciser {
  readonly #directory: string
  readonly #random: Random
  readonly #files: Model[] = []
  /** What was done, newest last, for the message of a failure. */
  readonly #log: string[] = []

  private constructor(directory: string, random: Random) {
    this.#directory = directory
    this.#random = random
  }

  static async start(directory: string, random: Random): Promise<Exerciser> {
    const exerciser = new Exerciser(directory, random)
    for (let at = 0; at < FILES; at++) {
      const name = `fsx-${at}`
      exerciser.#files.push({ name, handle: await open(join(directory, name), 'w+'), content: Buffer.alloc(0) })
    }
    return exerciser
  }

  async run(operations: number): Promise<void> {
    for (let at = 0; at < operations; at++) await this.#operate(this.#random.pick(this.#files))
  }

  /** Closes the files; they are opened again by `resume`, after the file system was mounted again. */
  async pause(): Promise<void> {
    for (const file of this.#files) await file.handle.close()
  }

  async resume(): Promise<void> {
    for (const file of this.#files) file.handle = await open(join(this.#directory, file.name), 'r+')
  }

  /** Compares every byte of every file. */
  async verify(): Promise<void> {
    for (const file of this.#files) {
      const { size } = await file.handle.stat()
      assert.equal(size, file.content.length, this.#story(`the size of ${file.name}`))
      await this.#compare(file, 0, size)
    }
  }

  async #operate(file: Model): Promise<void> {
    const random = this.#random
    const offset = random.below(MAX_BYTES)
    const length = 1 + random.below(Math.min(random.pick([100, 5000, 70_000, 300_000]), MAX_BYTES - offset))
    const kind = random.below(20)
    if (kind < 9) await this.#write(file, offset, length)
    else if (kind < 14) await this.#compare(file, offset, length)
    else if (kind === 14) await this.#truncate(file, offset)
    else if (kind === 15) await this.#punch(file, offset, length)
    else if (kind === 16) await this.#reopen(file)
    else if (kind === 17) await this.#replace(file)
    else {
      this.#note(`sync ${file.name}`)
      await file.handle.sync()
    }
  }

  async #write(file: Model, offset: number, length: number): Promise<void> {
    this.#note(`write ${file.name} ${offset} ${length}`)
    const bytes = Buffer.alloc(length, this.#random.bytes(37))
    await file.handle.write(bytes, 0, length, offset)
    this.#grow(file, offset + length)
    bytes.copy(file.content, offset)
  }

  async #compare(file: Model, offset: number, length: number): Promise<void> {
    const expected = file.content.subarray(offset, offset + length)
    const found = Buffer.alloc(expected.length)
    let done = 0
    while (done < found.length) {
      const { bytesRead } = await file.handle.read(found, done, found.length - done, offset + done)
      assert.ok(bytesRead > 0, this.#story(`${file.name} ends at ${offset + done}`))
      done += bytesRead
    }
    if (found.equals(expected)) return
    const at = found.findIndex((byte, index) => byte !== expected[index])
    assert.fail(this.#story(`${file.name} at ${offset + at}: ${found[at]} instead of ${expected[at]}`))
  }

  async #truncate(file: Model, length: number): Promise<void> {
    this.#note(`truncate ${file.name} ${length}`)
    await file.handle.truncate(length)
    this.#grow(file, length)
    file.content = file.content.subarray(0, length)
  }

  /** A hole in the middle of the file, which the file system may pass on as a trim. */
  async #punch(file: Model, offset: number, length: number): Promise<void> {
    this.#note(`punch ${file.name} ${offset} ${length}`)
    const path = join(this.#directory, file.name)
    await succeed('fallocate', ['-p', '-o', `${offset}`, '-l', `${length}`, path])
    file.content.fill(0, Math.min(offset, file.content.length), Math.min(offset + length, file.content.length))
  }

  async #reopen(file: Model): Promise<void> {
    this.#note(`reopen ${file.name}`)
    await file.handle.close()
    file.handle = await open(join(this.#directory, file.name), 'r+')
  }

  /** As editors save: a new file is written, synced, and takes the place of the old one. */
  async #replace(file: Model): Promise<void> {
    this.#note(`replace ${file.name}`)
    const path = join(this.#directory, file.name)
    const next = await open(`${path}.new`, 'w+')
    await next.write(file.content, 0, file.content.length, 0)
    await next.sync()
    await rename(`${path}.new`, path)
    await file.handle.close()
    await rm(`${path}.new`, { force: true })
    file.handle = next
  }

  #grow(file: Model, length: number): void {
    if (length <= file.content.length) return
    file.content = Buffer.concat([file.content, Buffer.alloc(length - file.content.length)])
  }

  #note(what: string): void {
    this.#log.push(what)
    if (this.#log.length > 30) this.#log.shift()
  }

  #story(what: string): string {
    return `${what}, after:\n${this.#log.join('\n')}`
  }
}
