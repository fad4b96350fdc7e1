import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { FlipPoint } from './points.ts'

/** What a store with one flipped bit does. Each is right: none returns a wrong byte as if it were sound. */
export type FlipOutcome = 'nothing to see' | 'block found damaged' | 'store suspect' | 'open refused' | 'engine aborted'

const READ_ALL = join(import.meta.dirname, 'children/read-all.ts')
const DATABASE = 'store/db'

export async function filesOf(directory: string): Promise<{ name: string; bytes: number }[]> {
  const names = (await readdir(join(directory, DATABASE))).filter((name) => !/^LO(CK|G)/.test(name)).sort()
  return await Promise.all(
    names.map(async (name) => ({ name, bytes: (await stat(join(directory, DATABASE, name))).size })),
  )
}

/** Reads every block of a copy of the store in which one bit is another; `writes` were made before it was closed. */
export async function runFlipPoint(
  written: string,
  place: string,
  point: FlipPoint,
  writes: number,
): Promise<FlipOutcome> {
  const directory = join(place, 'data')
  await cp(written, directory, { recursive: true })
  await flip(join(directory, DATABASE, point.file), point)
  const outcome = await readInChild(directory, writes)
  await rm(place, { recursive: true })
  return outcome
}

async function flip(path: string, { offset, bit }: FlipPoint): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, offset)
    byte[0] = (byte[0] as number) ^ (1 << bit)
    await file.write(byte, 0, 1, offset)
  } finally {
    await file.close()
  }
}

/** Reads in a process of its own: the engine checks some of what it reads by assertions, which end the process. */
async function readInChild(directory: string, writes: number): Promise<FlipOutcome> {
  const args = ['--conditions=ashlar-source', READ_ALL, directory, `${writes}`]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const [out, said] = await Promise.all([text(child.stdout), text(child.stderr)])
  await ended
  if (child.signalCode === 'SIGABRT') {
    assert.match(said, /leveldb.*Assertion/, 'only the engine ends a process that way')
    return 'engine aborted'
  }
  assert.equal(child.exitCode, 0, `${child.signalCode ?? ''} ${said}`)
  return out.trim() as FlipOutcome
}
