import assert from 'node:assert/strict'
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { run } from './dev-cluster.ts'

/** Programs that `FreezableDisk` needs. */
export const FREEZE_TOOLS = ['mkfs.ext4', 'mount', 'umount', 'fsfreeze'] as const

/**
 * An ext4 file system of its own, in a file, mounted at a place: its writes can be made to hang in the kernel, as those
 * of a disk or a cloud volume that pauses. Reads of what is in the page cache still succeed.
 */
export class FreezableDisk {
  readonly place: string
  #frozen = false

  private constructor(place: string) {
    this.place = place
  }

  /** Makes and mounts one; `image` is the file that holds it. Throws when loop devices are not permitted here. */
  static async mount(place: string, image: string, mebibytes: number): Promise<FreezableDisk> {
    await writeFile(image, '')
    await truncate(image, mebibytes * 1024 * 1024)
    await must('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image])
    await mkdir(place, { recursive: true })
    await must('mount', ['-o', 'loop', image, place])
    return new FreezableDisk(place)
  }

  /** From here on every write and every sync waits. What is in flight to the disk is written first. */
  async freeze(): Promise<void> {
    await must('fsfreeze', ['-f', this.place])
    this.#frozen = true
  }

  async thaw(): Promise<void> {
    if (!this.#frozen) return
    this.#frozen = false
    const { code, stderr } = await run('fsfreeze', ['-u', this.place])
    // A test may have thawed it by a command of its own.
    assert.ok(code === 0 || /Invalid argument/.test(stderr), `fsfreeze -u ${this.place}: ${stderr}`)
  }

  /** Thaws it too: a process that waits for a frozen disk cannot even be killed. */
  async unmount(): Promise<void> {
    await this.thaw()
    await must('umount', [this.place])
  }
}

async function must(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(program, args)
  assert.equal(code, 0, `${program} ${args.join(' ')}: ${stderr}`)
}
