import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as delay } from 'node:timers/promises'
import { readableLine } from './log-lines.ts'
import type { DevState } from './state.ts'

/** How long the last bytes of a log may be that are searched for the reason of an end. */
const TAIL_BYTES = 16_384
const CHUNK_BYTES = 65_536
const POLL_MS = 200

/**
 * Lines of a log from its beginning. With `follow` also those that are appended later, until it aborts. Rejects with ENOENT when
 * there is no such file.
 */
export async function* logLines(log: string, follow?: AbortSignal): AsyncGenerator<string> {
  const file = await open(log, 'r')
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    let decoder = new StringDecoder('utf8')
    let rest = ''
    for (let position = 0; ; ) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position)
      position += bytesRead
      const lines = (rest + decoder.write(chunk.subarray(0, bytesRead))).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
      if (bytesRead > 0) continue
      if (follow === undefined || follow.aborted) break
      await delay(POLL_MS, undefined, { signal: follow }).catch(() => undefined)
      if ((await sizeOf(file)) >= position) continue
      // It was emptied: what follows is read from the beginning.
      decoder = new StringDecoder('utf8')
      rest = ''
      position = 0
    }
    if (rest !== '') yield rest
  } finally {
    await file.close()
  }
}

/**
 * Why a process ended, from its log: the message that it ended with, else the last warning or error, else the last line. `from`:
 * size of the log when the process started, so that no earlier one is quoted. Undefined: it wrote nothing.
 */
export async function lastWords(log: string, from = 0): Promise<string | undefined> {
  const lines = await tailLines(log, from)
  const message = lines.findLast((line) => line.startsWith(MESSAGE))
  if (message !== undefined) return message.slice(MESSAGE.length)
  const alarm = lines.findLast((line) => /^\{"level":"(?:warn|error|fatal)"/.test(line))
  const last = alarm ?? lines.at(-1)
  return last === undefined ? undefined : readableLine(last).split('\n')[0]
}

const MESSAGE = 'ashlar: '

async function tailLines(log: string, from: number): Promise<string[]> {
  const file = await open(log, 'r')
  try {
    const size = await sizeOf(file)
    const bytes = Buffer.alloc(Math.max(0, Math.min(size - from, TAIL_BYTES)))
    await file.read(bytes, 0, bytes.length, size - bytes.length)
    return bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
  } finally {
    await file.close()
  }
}

/** Bytes of a log; 0 when it does not exist yet. */
export async function logSize(log: string): Promise<number> {
  try {
    const file = await open(log, 'r')
    return await sizeOf(file).finally(() => file.close())
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}

async function sizeOf(file: FileHandle): Promise<number> {
  return (await file.stat()).size
}

/** Names of the nodes of a development cluster by the ids of their stores, as far as their directories have one. */
export async function storeNames(state: DevState): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  for (const { id, dataDir } of state.nodes) {
    try {
      const { store } = JSON.parse(await readFile(join(dataDir, SIDECAR), 'utf8')) as { store?: unknown }
      if (typeof store === 'string') names.set(store, id)
    } catch {
      // A directory without a store, or with a damaged one: its id stays an id.
    }
  }
  return names
}

/** Names the store of a data directory. */
const SIDECAR = 'store/store.json'
