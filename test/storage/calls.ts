import { cp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore } from '../../packages/node/src/storage/index.ts'
import { WRITER, Writer } from '../../packages/node/test/storage/children/run-writer.ts'
import { assertWritten, StoreRunner } from '../../packages/node/test/storage/store-kit.ts'
import type { CallPoint } from './points.ts'

/**
 * How a run with a fault ended. Every way is right as long as nothing that was acknowledged is missing afterwards; a fault
 * that did not matter hit a text file, or a call that LevelDB makes again.
 */
export type CallOutcome = 'store failed' | 'open failed' | 'killed' | 'did not matter' | 'not reached'

const WRITES = 40
/** Small, so that logs are rotated and tables written and merged within the run. */
const BUFFER_KIB = 64
/** LevelDB numbers its files; a run makes fewer than this. */
const FILE_NUMBERS = 80

/**
 * Runs a writer on a copy of a store with one fault, then opens the store again without it: it must be trusted and hold
 * exactly the writes up to one that is not below the last acknowledged.
 */
export async function runCallPoint(formatted: string, place: string, point: CallPoint): Promise<CallOutcome> {
  const directory = join(place, 'data')
  await cp(formatted, directory, { recursive: true })
  const action = point.fault === 'SIGKILL' ? 'signal=SIGKILL' : `error=${point.fault}`
  const marks = join(place, 'injected')
  const writer = new Writer(
    'strace',
    [
      ...['-f', '-qq', '-o', marks, '-e', `trace=${point.call}`, '-e', 'status=failed'],
      ...['-e', `inject=${point.call}:${action}:when=${point.at}`],
      ...(point.call === 'rename' ? [] : engineFiles(join(directory, 'store/db')).flatMap((path) => ['-P', path])),
      process.execPath,
      ...['--conditions=ashlar-source', WRITER, directory, `${BUFFER_KIB}`, '1', `${WRITES}`, '1'],
    ],
    // strace counts the calls of each thread: one thread of libuv writes to LevelDB's log, one of LevelDB compacts.
    { UV_THREADPOOL_SIZE: '1' },
  )
  await writer.ended()
  const outcome = outcomeOf(writer, (await readFile(marks, 'latin1')).includes('(INJECTED)'))
  const runner = new StoreRunner()
  runner.use(await openStore({ directory, ballastBytes: 0 }, runner.complete))
  await assertWritten(runner, writer.acked, `${outcome}, ${writer.acked} writes acknowledged`)
  await runner.store.close()
  await rm(place, { recursive: true })
  return outcome
}

function outcomeOf(writer: Writer, injected: boolean): CallOutcome {
  const last = writer.lines.at(-1) ?? ''
  if (last === 'closed') return injected ? 'did not matter' : 'not reached'
  if (writer.child.signalCode !== null) return 'killed'
  return writer.lines.length === 0 ? 'open failed' : 'store failed'
}

/** Every file that the engine may write: calls on other files, on pipes and on wake-ups of threads are left alone. */
function engineFiles(database: string): string[] {
  const numbers = Array.from({ length: FILE_NUMBERS }, (_, number) => String(number).padStart(6, '0'))
  const names = numbers.flatMap((number) => [`${number}.log`, `${number}.ldb`, `${number}.dbtmp`, `MANIFEST-${number}`])
  return names.map((name) => join(database, name))
}
