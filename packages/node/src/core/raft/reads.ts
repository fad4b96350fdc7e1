import type { ControlLogListener, ReadId } from '../control/log/index.ts'
import type { Context } from '../machine.ts'

interface Read {
  readonly id: ReadId
  /** What was committed when it was asked for: all of it is handed over before the answer. */
  readonly index: number
  /** The round that proves it; undefined until one begins. */
  round: number | undefined
}

/** Read-index rounds that are asked for and not over. Each ends, confirmed or not. */
export class Reads {
  private waiting: Read[] = []
  private last = 0

  add(index: number): ReadId {
    this.waiting.push({ id: ++this.last, index, round: undefined })
    return this.last
  }

  /** True when a read waits for a round to begin. */
  get needRound(): boolean {
    return this.waiting.some((read) => read.round === undefined)
  }

  /** A round begins: it proves every read that was asked for before. */
  begin(round: number): void {
    for (const read of this.waiting) read.round ??= round
  }

  /** A majority answered `round`, and entries up to `applied` are handed over. */
  confirm(ctx: Context, round: number, applied: number, listener: ControlLogListener): void {
    const isOver = (read: Read) => read.round !== undefined && read.round <= round && read.index <= applied
    const over = this.waiting.filter(isOver)
    if (over.length === 0) return
    this.waiting = this.waiting.filter((read) => !isOver(read))
    for (const { id } of over) listener.onReadIndex(ctx, id, true)
  }

  /** Leadership is over. */
  lose(ctx: Context, listener: ControlLogListener): void {
    const lost = this.waiting
    this.waiting = []
    for (const { id } of lost) listener.onReadIndex(ctx, id, false)
  }
}
