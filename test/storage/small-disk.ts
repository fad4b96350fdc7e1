import { spawnSync } from 'node:child_process'
import { mkdir, open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'

const STEP = new Uint8Array(64 * 1024)

/** A small file system in memory at a place of its own, which a test fills, empties and enlarges. */
export class SmallDisk {
  readonly place: string

  private constructor(place: string) {
    this.place = place
  }

  /** Mounts one, or says why that is not possible here. */
  static async mount(place: string, mebibytes: number): Promise<SmallDisk | { readonly missing: string }> {
    await mkdir(place, { recursive: true })
    const failure = mountTmpfs(place, `size=${mebibytes}m`)
    return failure === undefined
      ? new SmallDisk(place)
      : { missing: `mounting a tmpfs is not permitted here: ${failure}` }
  }

  resize(mebibytes: number): void {
    const failure = mountTmpfs(this.place, `remount,size=${mebibytes}m`)
    if (failure !== undefined) throw new Error(`${this.place} cannot be made ${mebibytes} MiB large: ${failure}`)
  }

  /** Makes it so large that this share of it is free now. */
  async leaveFree(share: number): Promise<void> {
    const { blocks, bfree, bsize } = await statfs(this.place)
    this.resize(Math.ceil(((blocks - bfree) * bsize) / (1 - share) / 2 ** 20))
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.place)
    return bavail * bsize
  }

  /** A foreign file takes the last page. Returns the call that removes it. */
  async fillUp(): Promise<() => Promise<void>> {
    const path = join(this.place, 'store', 'foreign-file')
    const file = await open(path, 'a')
    try {
      for (let bytes = STEP.length; bytes > 0; ) {
        const written = await file.write(STEP, 0, bytes).then(
          ({ bytesWritten }) => bytesWritten,
          (error: NodeJS.ErrnoException) => {
            if (error.code !== 'ENOSPC') throw error
            return 0
          },
        )
        if (written < bytes) bytes = bytes > 4096 ? 4096 : 0
      }
    } finally {
      await file.close()
    }
    return () => rm(path)
  }

  unmount(): void {
    spawnSync('umount', ['-l', this.place])
  }
}

function mountTmpfs(place: string, options: string): string | undefined {
  const { status, error, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place], {
    encoding: 'utf8',
  })
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}
