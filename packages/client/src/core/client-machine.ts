import type { Millis } from '@ashlar/proto'
import type { ClientEffect, ClientInput, ClientOptions } from './machine.ts'

/** One client: every decision of the library, as a machine. `step` is total; effects are to be carried out in order. */
export class ClientMachine {
  readonly options: ClientOptions

  constructor(options: ClientOptions) {
    this.options = options
  }

  step(_now: Millis, _input: ClientInput): readonly ClientEffect[] {
    return []
  }

  /** False while nothing is pending: the shell may stop its tick timer. */
  get busy(): boolean {
    return false
  }
}
