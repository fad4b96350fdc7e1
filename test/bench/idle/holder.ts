import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { AshlarError, type Bytes } from '@ashlar/proto'
import { endChild } from '../end-child.ts'

/** What a holder creates and attaches. */
export interface HolderPlan {
  /** Peer addresses. */
  readonly servers: readonly string[]
  /** Names of volumes that do not exist yet. */
  readonly volumes: readonly string[]
  readonly sizeBytes: Bytes
  readonly replicas: number
}

export type HolderRequest = 'attached' | 'end'

const PROGRAM = fileURLToPath(new URL('holder-process.ts', import.meta.url))
/** Each volume is two entries of control's log, one after the other. */
const VOLUME_MS = 2000
const START_MS = 30_000

/** A process of its own that keeps volumes attached through the library, so that its memory is counted apart. */
export class Holder {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Resolves once every volume exists and is attached. */
  static async start(plan: HolderPlan, signal: AbortSignal): Promise<Holder> {
    const child = fork(PROGRAM, [JSON.stringify(plan)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(START_MS + plan.volumes.length * VOLUME_MS)])
    try {
      await new Promise<void>((resolve, reject) => {
        child.once('message', () => resolve())
        child.once('exit', (code) => reject(new AshlarError('INTERNAL', `the holder of volumes ended with ${code}`)))
        deadline.addEventListener('abort', () => reject(deadline.reason), { once: true })
      })
      return new Holder(child)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Releases the volumes; resolves when the process has ended, by force if it has to be. */
  async end(): Promise<void> {
    const request: HolderRequest = 'end'
    await endChild(this.#child, request)
  }
}
