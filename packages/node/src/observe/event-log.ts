import { type ExtentId, extentIndexOf, type Millis, type StoreId } from '@ashlar/proto'
import type { Logger } from 'pino'
import type { MachineEvent } from '../core/machine.ts'

/** Lines of one event that are written in one window; the rest are counted and reported when the window ends. */
const LINES_A_WINDOW = 20
const WINDOW_MS: Millis = 10_000

interface Window {
  startedAt: Millis
  lines: number
  suppressed: number
}

export interface EventLogOptions {
  readonly log: Logger
  /** Monotonic milliseconds. */
  readonly clock: () => Millis
  /** Name of the node of a store, when the map has it. */
  readonly nodeName: (store: StoreId) => string | undefined
  /** Name of the volume of an extent, when the map has it. */
  readonly volumeName: (extent: ExtentId) => string | undefined
  readonly onSuppressed: (what: string) => void
}

/**
 * Writes events as log lines. A node that takes over thousands of extents emits the same event thousands of times: each event
 * gets LINES_A_WINDOW lines in WINDOW_MS, so that the log stays readable and does not fill the disk.
 */
export class EventLog {
  private readonly options: EventLogOptions
  private readonly windows = new Map<string, Window>()

  constructor(options: EventLogOptions) {
    this.options = options
  }

  write(event: MachineEvent): void {
    const window = this.windowOf(event)
    window.lines++
    if (window.lines > LINES_A_WINDOW) {
      window.suppressed++
      this.options.onSuppressed(event.what)
      return
    }
    const { level, what, ...details } = event
    this.options.log[level](this.readable(details), what)
  }

  /** Reports the suppressed lines of windows that ended; called with new windows, and when the log ends. */
  settle(all = false): void {
    const now = this.options.clock()
    for (const [what, window] of this.windows) {
      if (!all && now - window.startedAt < WINDOW_MS) continue
      this.windows.delete(what)
      if (window.suppressed === 0) continue
      this.options.log.warn({ what, lines: window.suppressed, withinMs: WINDOW_MS }, 'log-lines-suppressed')
    }
  }

  private windowOf(event: MachineEvent): Window {
    const now = this.options.clock()
    const known = this.windows.get(event.what)
    if (known !== undefined && now - known.startedAt < WINDOW_MS) return known
    // Any event that opens a window settles those that ended, also of events that do not recur.
    this.settle()
    const window: Window = { startedAt: now, lines: 0, suppressed: 0 }
    this.windows.set(event.what, window)
    return window
  }

  /** Adds names to ids: the node of a store, the volume of an extent. */
  private readable(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const { store, extent } = details as { store?: StoreId; extent?: ExtentId }
    const name = store === undefined ? undefined : this.options.nodeName(store)
    const volume = extent === undefined ? undefined : this.options.volumeName(extent)
    return {
      ...details,
      ...(extent === undefined || volume === undefined ? {} : { volume, extentIndex: extentIndexOf(extent) }),
      ...(name === undefined ? {} : { storeName: name }),
    }
  }
}
