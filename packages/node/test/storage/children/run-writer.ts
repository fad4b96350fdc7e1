import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const WRITER: string = fileURLToPath(new URL('./writer.ts', import.meta.url))

/** Lines of a child's output, and its end. */
export class Writer {
  readonly lines: string[] = []
  readonly child: ChildProcess
  readonly #exited: Promise<void>
  #waiters: (() => void)[] = []
  #errors = ''

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    let rest = ''
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      this.lines.push(...parts)
      for (const waiter of this.#waiters.splice(0)) waiter()
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    this.#exited = new Promise((resolve) => {
      this.child.once('close', () => {
        resolve()
        for (const waiter of this.#waiters.splice(0)) waiter()
      })
    })
  }

  static run(args: readonly string[]): Writer {
    return new Writer(process.execPath, ['--conditions=ashlar-source', WRITER, ...args])
  }

  /** Highest seq for which `acked` was printed, with none missing below it. */
  get acked(): number {
    return Math.max(0, ...this.lines.map((line) => Number(/^acked (\d+)$/.exec(line)?.[1] ?? 0)))
  }

  /** Waits until the output fulfils a condition; throws what the child said when it ends before that. */
  async until(condition: (writer: Writer) => boolean, deadlineMs = 30_000): Promise<void> {
    const deadline = Date.now() + deadlineMs
    while (!condition(this)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`the writer ended early (${this.child.exitCode ?? this.child.signalCode}): ${this.#errors}`)
      }
      if (Date.now() > deadline) throw new Error(`the writer was too slow: ${this.lines.slice(-3).join(' / ')}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100)
        this.#waiters.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#exited
  }

  async ended(): Promise<string> {
    await this.#exited
    return this.#errors
  }
}
