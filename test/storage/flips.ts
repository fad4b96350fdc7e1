import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { FlipPoint } from './points.ts'

/**
 * What becomes of a store with one flipped bit, over as many starts as it takes. None returns a wrong byte as if it were sound,
 * and none is left in a state that each start ends in without a word of what to do.
 */
export type FlipOutcome =
  | 'nothing to see'
  | 'block found damaged'
  | 'goes on after comparison'
  | 'names what to do'
  | 'replica is copied again'
  | 'engine aborted'

/** One start of such a store. */
export type Incarnation =
  | { readonly end: 'sound' | 'damaged' | 'suspect' | 'compared' | 'replica lost' }
  | { readonly end: 'refused' | 'failed'; readonly reason: string }
  | { readonly end: 'aborted' }

const READ_ALL = join(import.meta.dirname, 'children/read-all.ts')
const DATABASE = 'store/db'
/** Found suspect, compared, sound, and one to spare. */
const MOST_STARTS = 4

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
  const outcome = await outcomeOf(directory, writes)
  await rm(place, { recursive: true })
  return outcome
}

/** Starts it until it has come to rest. */
async function outcomeOf(directory: string, writes: number): Promise<FlipOutcome> {
  let isCompared = false
  for (let start = 1; start <= MOST_STARTS; start++) {
    const incarnation = await readInChild(directory, writes)
    switch (incarnation.end) {
      case 'sound':
        return isCompared ? 'goes on after comparison' : 'nothing to see'
      case 'damaged':
        return isCompared ? 'goes on after comparison' : 'block found damaged'
      case 'aborted':
        return 'engine aborted'
      case 'refused':
      case 'failed':
        assert.match(incarnation.reason, /mv \S+ \S+\.damaged, and start/, 'it names the commands that help')
        return 'names what to do'
      case 'replica lost':
        // Its head is hidden: the map has the replica, which is created again, empty, and compared.
        return 'replica is copied again'
      case 'compared':
        isCompared = true
    }
  }
  throw new Error(`${MOST_STARTS} starts ended one after the other, without a word of what to do`)
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
async function readInChild(directory: string, writes: number): Promise<Incarnation> {
  const args = ['--conditions=ashlar-source', READ_ALL, directory, `${writes}`]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const [out, said] = await Promise.all([text(child.stdout), text(child.stderr)])
  await ended
  if (child.signalCode === 'SIGABRT') {
    assert.match(said, /leveldb.*Assertion/, 'only the engine ends a process that way')
    return { end: 'aborted' }
  }
  assert.equal(child.exitCode, 0, `${child.signalCode ?? ''} ${said}`)
  return JSON.parse(out) as Incarnation
}
