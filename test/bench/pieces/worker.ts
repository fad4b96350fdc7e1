/** A process that one piece runs in: `worker.ts KIND SETTINGS`, driven by its parent over IPC. */
import { InvariantError } from '@ashlar/proto'
import { ashlarStore } from './ashlar-store.ts'
import { bareStore } from './bare-store.ts'
import { disk } from './disk.ts'
import { nbdServer } from './nbd-server.ts'
import type { FromWorker, Piece, PieceKind, PieceSettings, ToWorker } from './piece.ts'
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
  void (message.do === 'measure' ? measure(message.seconds) : end())
})
// A parent that was killed takes its workers with it.
process.once('disconnect', () => process.exit(0))
tell({ did: 'start', ...(piece.address === undefined ? {} : { address: piece.address }) })

async function measure(seconds: number): Promise<void> {
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  const operations = await piece.run(started + seconds * 1000)
  const { user, system } = process.cpuUsage(cpuBefore)
  tell({ did: 'measure', operations, seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 })
}

async function end(): Promise<void> {
  await piece.close()
  process.disconnect()
}

function tell(message: FromWorker): void {
  process.send?.(message)
}
