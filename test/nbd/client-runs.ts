import assert from 'node:assert/strict'
import { createHash, randomFillSync } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { type RunResult, run } from '../kit/dev-cluster.ts'

/** What the clients of a scenario talk to. Its content is overwritten. */
export interface NbdTarget {
  /** With the name of the export. */
  readonly uri: string
  /** At least 64 MiB. */
  readonly sizeBytes: number
}

const MIB = 1024 * 1024
/** Images of the scenarios: smaller than every target, and no multiple of any block size. */
export const IMAGE_BYTES = 24 * MIB + 4096 + 512

/** Something that a real NBD client does, with the proof that it came out right. */
export interface Scenario {
  /** What it proves. */
  readonly name: string
  /** Programs that it needs. */
  readonly tools: readonly string[]
  readonly run: (target: NbdTarget, directory: string) => Promise<void>
}

/** Runs a program that has to succeed. */
export async function succeed(command: string, args: readonly string[]): Promise<RunResult> {
  const result = await run(command, args, { timeoutMs: 300_000 })
  assert.equal(result.code, 0, `${command} ${args.join(' ')}\n${result.stdout}\n${result.stderr}`)
  return result
}

/** Runs the commands in order; any that fails, also a pattern that does not match, fails the scenario. */
export async function qemuIo(target: NbdTarget, commands: readonly string[]): Promise<void> {
  const args = commands.flatMap((command) => ['-c', command])
  const { stdout, stderr } = await succeed('qemu-io', ['-f', 'raw', ...args, target.uri])
  assert.doesNotMatch(stdout + stderr, /failed|error/i)
}

/** An image with data and holes; as long as asked for. Gives its path. */
export async function makeImage(path: string, sizeBytes = IMAGE_BYTES): Promise<string> {
  const file = await open(path, 'w')
  try {
    await file.truncate(sizeBytes)
    const bytes = Buffer.alloc(300_000)
    for (let at = 0; at < IMAGE_BYTES; at += 1_000_000) {
      randomFillSync(bytes)
      await file.write(bytes, 0, Math.min(bytes.length, IMAGE_BYTES - at), at)
    }
  } finally {
    await file.close()
  }
  return path
}

/** Of the first bytes of a file. */
export async function digest(path: string, bytes: number): Promise<string> {
  return createHash('sha256')
    .update((await readFile(path)).subarray(0, bytes))
    .digest('hex')
}
