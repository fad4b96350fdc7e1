import type { Effect, LogEntry } from '@ashlar/node/core'
import type { NodeEnd, StoreId } from '@ashlar/proto'
import type { NodeProcess } from '../world/node-host.ts'
import type { ControlTruth } from './control-truth.ts'
import type { Report } from './report.ts'

/**
 * What nodes report of their ends (A2.23): a report is the last thing that leaves its process, control notes only what was
 * reported, and the map has no report of an incarnation that a later one followed.
 */
export class Endings {
  private readonly truth: ControlTruth
  private readonly report: Report
  /** Reports that were sent, by process, as control would note them. */
  private readonly reported = new Map<NodeProcess, string>()
  private readonly notes = new Set<string>()

  constructor(truth: ControlTruth, report: Report) {
    this.truth = truth
    this.report = report
  }

  sending(node: NodeProcess, { message }: Extract<Effect, { type: 'send' }>): void {
    if (message.type === 'ending') {
      const { type: _, ...note } = message
      this.reported.set(node, noteOf(note))
      this.notes.add(noteOf(note))
    } else if (this.reported.has(node))
      this.broken(`${node.host} reported its end, and sends ${message.type} after that`)
  }

  committed({ command }: LogEntry): void {
    if (command.do === 'note-ending') {
      const { do: _, ...note } = command
      if (!this.notes.has(noteOf(note))) this.broken(`control notes an end of ${note.store} that it did not report`)
    }
    if (command.do !== 'note-ending' && command.do !== 'register') return
    const node = this.truth.map.nodes.get(command.store)
    if (node?.ended !== undefined && node.ended.counter < node.incarnation.counter)
      this.broken(
        `${node.name} is in start ${node.incarnation.counter}, and the map says why start ${node.ended.counter} ended`,
      )
  }

  private broken(text: string): void {
    this.report.violation('endings', text)
  }
}

function noteOf({ store, counter, kind, reason, at }: NodeEnd & { readonly store: StoreId }): string {
  return [store, counter, kind, reason, at].join(' ')
}
