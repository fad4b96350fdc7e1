import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { AshlarError } from '@ashlar/proto'
import { endChild } from '../end-child.ts'
import type { FromWorker, PieceKind, PieceSettings, PieceWork, ProcessFigures, ToWorker } from './piece.ts'

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))
/** Filling a store, on a slow disk. */
const START_MS = 300_000
const EXTRA_MS = 60_000

/** One process that a piece runs in. */
export class Worker {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #signal: AbortSignal
  #address: string | undefined

  private constructor(child: ChildProcess, name: string, signal: AbortSignal) {
    this.#child = child
    this.#name = name
    this.#signal = signal
  }

  /** Resolves once the piece is ready to run. */
  static async start(
    kind: PieceKind,
    settings: PieceSettings,
    signal: AbortSignal,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Worker> {
    const child = fork(WORKER, [kind, JSON.stringify(settings)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // As nodes run: every operation on a store is a job of this pool.
      env: { ...process.env, UV_THREADPOOL_SIZE: '16', ...environment },
    })
    const worker = new Worker(child, kind, signal)
    try {
      const started = await worker.#hear('start', START_MS)
      worker.#address = started.address
      return worker
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Where it listens; an empty text when it does not. */
  get address(): string {
    return this.#address ?? ''
  }

  async measure(seconds: number, work: PieceWork = 'run'): Promise<ProcessFigures> {
    this.#send({ do: 'measure', work, seconds })
    return await this.#hear('measure', seconds * 1000 + EXTRA_MS)
  }

  /** Resolves when the process has ended, by force if it has to be. */
  async end(): Promise<void> {
    const end: ToWorker = { do: 'end' }
    await endChild(this.#child, end)
  }

  #send(message: ToWorker): void {
    this.#child.send(message)
  }

  #hear<D extends FromWorker['did']>(did: D, timeoutMs: number): Promise<Extract<FromWorker, { did: D }>> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => {
        clearTimeout(late)
        this.#child.off('message', onMessage).off('exit', onExit)
        this.#signal.removeEventListener('abort', onAbort)
        outcome()
      }
      const fail = (what: string) => settle(() => reject(new AshlarError('INTERNAL', `piece ${this.#name} ${what}`)))
      const onMessage = (message: unknown) => {
        const said = message as FromWorker
        if (said.did === did) settle(() => resolve(said as Extract<FromWorker, { did: D }>))
      }
      const onExit = (code: number | null) => fail(`ended with ${code}`)
      const onAbort = () => settle(() => reject(this.#signal.reason))
      const late = setTimeout(() => fail(`did not answer within ${timeoutMs / 1000} s`), timeoutMs)
      this.#child.on('message', onMessage).once('exit', onExit)
      this.#signal.addEventListener('abort', onAbort)
    })
  }
}

/** Starts workers one beside the other, hands them to `use`, and ends all of them in the end. */
export async function withWorkers<T>(
  plans: readonly { readonly kind: PieceKind; readonly settings: PieceSettings }[],
  signal: AbortSignal,
  use: (workers: readonly Worker[]) => Promise<T>,
): Promise<T> {
  const started = await Promise.allSettled(plans.map(({ kind, settings }) => Worker.start(kind, settings, signal)))
  const workers = started.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  try {
    for (const outcome of started) if (outcome.status === 'rejected') throw outcome.reason
    return await use(workers)
  } finally {
    for (const worker of workers) await worker.end()
  }
}
