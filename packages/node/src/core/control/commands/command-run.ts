import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { CommandResult } from './command-result.ts'
import { commandSteps } from './reducer.ts'

/**
 * Applies one command in pieces, since some touch too many extents for one turn of the event loop. Until it is done the
 * map is of no revision and must not be read. The result does not depend on the pieces.
 */
export class CommandRun {
  private readonly state: MapState
  private readonly steps: ReturnType<typeof commandSteps>

  constructor(state: MapState, command: Command) {
    this.state = state
    this.steps = commandSteps(state, command)
  }

  /**
   * Continues for `budget` extents at most. `result`: undefined until the command is applied. `spent`: extents that
   * were visited, at least one.
   */
  continue(budget: number): { readonly result: CommandResult | undefined; readonly spent: number } {
    for (let spent = 1; ; spent++) {
      const { done, value } = this.steps.next()
      if (done) return { result: { ...value, promoted: this.state.endCommand() }, spent }
      if (spent >= budget) return { result: undefined, spent }
    }
  }
}
