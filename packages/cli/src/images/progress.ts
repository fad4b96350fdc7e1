import { formatBytes } from '@ashlar/node/config'
import type { Io } from '../io.ts'

const REDRAW_MS = 500
const MIB = 2 ** 20

/** Shows the progress of a copy on standard error: redrawn in place on a terminal, only at the end elsewhere. */
export class Progress {
  private readonly io: Io
  private readonly verb: string
  private readonly total: number | undefined
  private readonly startedAt = performance.now()
  private drawnAt = 0
  private bytes = 0
  private holes = 0

  /** `verb`: `imported`, `exported`. `total` in bytes, where it is known. */
  constructor(io: Io, verb: string, total: number | undefined) {
    this.io = io
    this.verb = verb
    this.total = total
  }

  /** `hole`: zeroes that were not transferred. */
  add(bytes: number, hole: boolean): void {
    this.bytes += bytes
    if (hole) this.holes += bytes
    const now = performance.now()
    if (!this.io.isTerminal || now - this.drawnAt < REDRAW_MS) return
    this.drawnAt = now
    const share =
      this.total === undefined || this.total === 0 ? '' : ` ${Math.floor((this.bytes / this.total) * 100)} %`
    this.io.error(`\r${this.verb} ${Math.floor(this.bytes / MIB)} MiB${share}\u001b[K`)
  }

  finish(what: string): void {
    const seconds = Math.max(0.001, (performance.now() - this.startedAt) / 1000)
    const rate = Math.round(this.bytes / MIB / seconds)
    const line = `${this.verb} ${formatBytes(this.bytes)} ${what} in ${seconds.toFixed(1)} s (${rate} MiB/s), ${formatBytes(this.holes)} of it zeroes`
    this.io.error(`${this.io.isTerminal ? '\r\u001b[K' : ''}${line}\n`)
  }
}
