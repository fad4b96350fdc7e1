import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually, run } from '../kit/dev-cluster.ts'
import { succeed } from './client-runs.ts'

/** Programs that `withMounted` needs. */
export const MOUNT_TOOLS = ['nbdfuse', 'losetup', 'mkfs.ext4', 'mount', 'fusermount3'] as const

export interface MountOptions {
  /** Makes a new file system first. */
  readonly format?: 'ext4' | 'xfs'
}

const MAKE: Readonly<Record<NonNullable<MountOptions['format']>, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
  xfs: ['mkfs.xfs', '-q', '-f'],
}

/** nbdfuse shows the export as a file until it is stopped. */
async function withFuse(uri: string, directory: string, use: (file: string) => Promise<void>): Promise<void> {
  const mountPoint = await mkdtemp(join(directory, 'fuse-'))
  const file = join(mountPoint, 'disk')
  const fuse: ChildProcess = spawn('nbdfuse', [file, uri], { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = new Promise((resolve) => fuse.once('exit', resolve))
  try {
    await eventually('nbdfuse shows the disk', async () => ((await run('stat', [file])).code === 0 ? true : undefined))
    await use(file)
  } finally {
    await letGo(mountPoint, fuse)
    await ended
  }
}

/**
 * Ends nbdfuse. Where another mount namespace was made meanwhile (`ip netns exec` makes one) the file system is mounted
 * there too and keeps the disk busy: then this fails, instead of waiting without end.
 */
async function letGo(mountPoint: string, fuse: ChildProcess): Promise<void> {
  try {
    await eventually('the disk of nbdfuse is unused', async () =>
      (await run('fusermount3', ['-u', mountPoint])).code === 0 ? true : undefined,
    )
  } catch (error) {
    await run('fusermount3', ['-uz', mountPoint])
    fuse.kill('SIGKILL')
    throw error
  }
}

/**
 * Mounts an export by nbdfuse and a loop device, for as long as `use` runs: the kernel's file systems over NBD without
 * the kernel's NBD client. Everything is taken down again in reverse order, also after a failure.
 *
 * @param directory where mount points are made
 */
export function withMounted(
  uri: string,
  directory: string,
  options: MountOptions,
  use: (mounted: string) => Promise<void>,
): Promise<void> {
  return withFuse(uri, directory, async (file) => {
    const mounted = join(directory, 'mounted')
    await mkdir(mounted, { recursive: true })
    const loop = (await succeed('losetup', ['-f', '--show', file])).stdout.trim()
    try {
      const [make = '', ...args] = options.format === undefined ? [] : MAKE[options.format]
      if (make !== '') await succeed(make, [...args, loop])
      await succeed('mount', [loop, mounted])
      try {
        await use(mounted)
      } finally {
        const { code, stderr } = await run('umount', [mounted])
        assert.equal(code, 0, stderr)
      }
    } finally {
      await run('losetup', ['-d', loop])
    }
  })
}
