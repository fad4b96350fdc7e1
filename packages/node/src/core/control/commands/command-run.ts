import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { CommandResult } from './command-result.ts'
import { commandSteps } from './reducer.ts'

/**
 * One command while it is applied, a piece at a time: some touch more extents than an event loop may be held up for. What the
 * map holds meanwhile belongs to no revision, and must be shown to nobody. However it is cut into pieces, the map is the same.
 */
export class CommandRun {
  private readonly state: MapState
  private readonly steps: ReturnType<typeof commandSteps>

  constructor(state: MapState, command: Command) {
    this.state = state
    this.steps = commandSteps(state, command)
  }

  /**
   * Goes on for `budget` extents at most. `result`: the command is applied; undefined: there is more to do. `spent`: extents
   * that were looked at, one for a command that concerns none.
   */
  goOn(budget: number): { readonly result: CommandResult | undefined; readonly spent: number } {
    for (let spent = 1; ; spent++) {
      const { done, value } = this.steps.next()
      if (done) return { result: { ...value, promoted: this.state.endCommand() }, spent }
      if (spent >= budget) return { result: undefined, spent }
    }
  }
}
