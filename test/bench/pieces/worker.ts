/** A process that one piece runs in: `worker.ts KIND SETTINGS`, driven by its parent over IPC. */
import { readFileSync } from 'node:fs'
import { type Bytes, InvariantError } from '@ashlar/proto'
import { parseWrittenBytes } from '../processes.ts'
import { ashlarStore } from './ashlar-store.ts'
import { bareStore } from './bare-store.ts'
import { disk } from './disk.ts'
import { nbdServer } from './nbd-server.ts'
import type { FromWorker, Piece, PieceKind, PieceSettings, PieceWork, ToWorker } from './piece.ts'
import { websocketClient, websocketServer } from './websocket.ts'

const KINDS: Readonly<Record<PieceKind, (settings: PieceSettings) => Promise<Piece>>> = {
  disk,
  'bare-store': bareStore,
  'ashlar-store': ashlarStore,
  'websocket-server': websocketServer,
  'websocket-client': websocketClient,
  'nbd-server': nbdServer,
}

const [, , kind = '', settings = '{}'] = process.argv
const make = Object.hasOwn(KINDS, kind) ? KINDS[kind as PieceKind] : undefined
if (make === undefined) throw new InvariantError(`no piece is called ${kind}`)
const piece = await make(JSON.parse(settings) as PieceSettings)

process.on('message', (message: ToWorker) => {
  void (message.do === 'measure' ? measure(message.work, message.seconds) : end())
})
// A parent that was killed takes its workers with it.
process.once('disconnect', () => process.exit(0))
send({ did: 'start', ...(piece.address === undefined ? {} : { address: piece.address }) })

async function measure(work: PieceWork, seconds: number): Promise<void> {
  const writtenBefore = writtenBytes()
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  const operations = await piece[work]?.(started + seconds * 1000)
  if (operations === undefined) throw new InvariantError(`piece ${kind} has no ${work}`)
  const { user, system } = process.cpuUsage(cpuBefore)
  send({
    did: 'measure',
    operations,
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: (user + system) / 1e6,
    writtenBytes: writtenBytes() - writtenBefore,
  })
}

function writtenBytes(): Bytes {
  return parseWrittenBytes(readFileSync('/proc/self/io', 'utf8'))
}

async function end(): Promise<void> {
  await piece.close()
  process.disconnect()
}

function send(message: FromWorker): void {
  process.send?.(message)
}
