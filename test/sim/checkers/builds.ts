import type { Input, LogEntry } from '@ashlar/node/core'
import { FEATURE_LEVEL } from '@ashlar/proto'
import { commandLevel } from '../../../packages/node/src/core/control/index.ts'
import type { NodeProcess } from '../world/node-host.ts'
import type { ControlTruth } from './control-truth.ts'
import type { Report } from './report.ts'

/**
 * Two builds side by side (amendment 24). An older build is never given what it does not know; the level rises once,
 * and only when every store that is registered runs a build which knows it; afterwards no older build gets in.
 */
export class Builds {
  private readonly truth: ControlTruth
  private readonly report: Report
  /** The feature level of each incarnation of a store, by its boot id. */
  private readonly known = new Map<string, number>()
  /** Raises that were proposed, as term and index. */
  private readonly proposed = new Set<string>()
  private level = 0

  constructor(truth: ControlTruth, report: Report) {
    this.truth = truth
    this.report = report
  }

  started(node: NodeProcess): void {
    this.known.set(node.bootId, node.build)
  }

  received(node: NodeProcess, input: Input): void {
    if (node.build >= FEATURE_LEVEL || input.type !== 'received' || input.message.type !== 'append-entries') return
    for (const { command } of input.message.entries as readonly LogEntry[]) {
      if (commandLevel(command) > node.build)
        this.broken(`${node.host} was given ${command.do}, which its build does not know`)
    }
  }

  /** Entries are on their way to a disk: of a raise the first time is the moment after its proposal. */
  writing(entries: readonly LogEntry[]): void {
    for (const { index, term, command } of entries) {
      if (command.do !== 'raise-feature-level' || this.proposed.has(`${term} ${index}`)) continue
      this.proposed.add(`${term} ${index}`)
      for (const { store, name, incarnation } of this.truth.map.nodes.values()) {
        const known = this.known.get(incarnation.bootId) ?? 0
        if (known < command.level && !this.truth.map.gone.has(store))
          this.broken(`level ${command.level} was proposed, and ${name} runs a build that knows ${known}`)
      }
    }
  }

  committed({ command }: LogEntry): void {
    const { map } = this.truth
    if (command.do === 'raise-feature-level') {
      if (command.level <= this.level) this.broken(`an entry raises the level to ${command.level}, where it is already`)
      this.level = command.level
    }
    if (command.do !== 'register' || map.nodes.get(command.store)?.incarnation.bootId !== command.incarnation.bootId)
      return
    const known = this.known.get(command.incarnation.bootId) ?? 0
    if (known < this.level)
      this.broken(`${command.name} was registered at level ${this.level}, and its build knows ${known}`)
  }

  private broken(text: string): void {
    this.report.violation('feature-level', text)
  }
}
