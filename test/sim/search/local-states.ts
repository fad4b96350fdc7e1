import { type Effect, type Input, NodeMachine, type NodeStart } from '@ashlar/node/core'
import { SoloLog } from '../../../packages/node/test/core/control/solo-log.ts'
import { fingerprint, Numbers, plainText } from './fingerprint.ts'

/** What a machine does with one input: its next state, and its effects in order. */
export interface Transition {
  readonly next: number
  readonly effects: readonly Effect[]
}

interface TimedInput {
  readonly now: number
  readonly input: Input
}

interface LocalState {
  readonly parent: number
  readonly input: number
  readonly start: NodeStart | undefined
  /** By number of the input. */
  readonly transitions: Map<number, Transition>
  /** Another way to this state, for the test of the fingerprints. */
  other?: { readonly parent: number; readonly input: number }
}

/** A machine that stands at one state, and what it waits for: which input made it ask. */
interface Living {
  readonly machine: NodeMachine
  readonly waits: Map<number, string>
}

/** What never changes in a machine, or is distinguished by `waits`. */
const SKIPPED: ReadonlySet<string> = new Set(['start', 'completions', 'services', 'prng'])
const MOST_LIVING = 3000
/** One in so many transitions of states that were reached in two ways is made from both. */
const COMPARE_EVERY = 16

/**
 * The states of all nodes that were met, each node's by itself, as numbers. A machine cannot be copied, but it is a
 * function of its inputs: a state is reached again by replaying them, and what follows from it is computed once. Two
 * sequences of inputs lead to one state when the machine holds the same after both. That this is so is tested all
 * along: every so often a transition is made after both sequences and has to come out equal.
 */
export class LocalStates {
  private readonly states: LocalState[] = []
  private readonly byFingerprint = new Map<string, number>()
  private readonly living = new Map<number, Living>()
  private readonly inputs = new Numbers<TimedInput>()
  private readonly timed = new Map<number, WeakMap<Input, TimedInput>>()
  transitions = 0
  replayed = 0
  compared = 0

  get size(): number {
    return this.states.length
  }

  begin(start: NodeStart): number {
    const living = awaken(start)
    return this.reached(living, { parent: -1, input: -1, start })
  }

  step(state: number, now: number, input: Input): Transition {
    const number = this.inputs.of(this.at(now, input))
    const from = this.states[state] as LocalState
    const known = from.transitions.get(number)
    if (known !== undefined) return known
    this.transitions++
    const living = this.stand(state)
    const effects = run(living, this.inputs.value(number), number)
    const next = this.reached(living, { parent: state, input: number, start: undefined })
    const transition = { next, effects }
    from.transitions.set(number, transition)
    if (from.other !== undefined && this.transitions % COMPARE_EVERY === 0) this.compare(from.other, number, transition)
    return transition
  }

  private at(now: number, input: Input): TimedInput {
    let timed = this.timed.get(now)
    if (timed === undefined) {
      timed = new WeakMap()
      this.timed.set(now, timed)
    }
    let found = timed.get(input)
    if (found === undefined) {
      found = { now, input }
      timed.set(input, found)
    }
    return found
  }

  private reached(living: Living, how: Omit<LocalState, 'transitions'>): number {
    const print = this.fingerprintOf(living, how)
    let number = this.byFingerprint.get(print)
    if (number === undefined) {
      number = this.states.length
      this.byFingerprint.set(print, number)
      this.states.push({ ...how, transitions: new Map() })
    } else if (how.parent >= 0) (this.states[number] as LocalState).other ??= { parent: how.parent, input: how.input }
    if (!this.living.has(number)) this.keep(number, living)
    return number
  }

  private keep(number: number, living: Living): void {
    this.living.set(number, living)
    if (this.living.size <= MOST_LIVING) return
    for (const oldest of this.living.keys()) {
      this.living.delete(oldest)
      return
    }
  }

  private fingerprintOf(living: Living, { parent, start }: Pick<LocalState, 'parent' | 'start'>): string {
    const { store, incarnation } = start ?? this.startOf(parent)
    return fingerprint(living.machine, SKIPPED, `${store} ${incarnation.counter} ${JSON.stringify([...living.waits])}`)
  }

  private startOf(state: number): NodeStart {
    for (let at = state; ; ) {
      const { parent, start } = this.states[at] as LocalState
      if (start !== undefined) return start
      at = parent
    }
  }

  /** A machine at this state: one that is there, or one that is brought there. It is the caller's from here on. */
  private stand(state: number): Living {
    const path: number[] = []
    let at = state
    for (;;) {
      const living = this.living.get(at)
      if (living !== undefined) {
        this.living.delete(at)
        return this.replay(living, path)
      }
      const { parent, input, start } = this.states[at] as LocalState
      if (start !== undefined) return this.replay(awaken(start), path)
      path.push(input)
      at = parent
    }
  }

  private replay(living: Living, path: readonly number[]): Living {
    for (const number of path.toReversed()) run(living, this.inputs.value(number), number)
    this.replayed += path.length
    return living
  }

  private compare(other: { parent: number; input: number }, number: number, expected: Transition): void {
    this.compared++
    const living = this.stand(other.parent)
    run(living, this.inputs.value(other.input), other.input)
    const effects = run(living, this.inputs.value(number), number)
    const next = this.byFingerprint.get(this.fingerprintOf(living, { parent: other.parent, start: undefined }))
    if (next === expected.next && plainText(effects) === plainText(expected.effects)) return
    throw new Error(
      `two states are not one: after ${plainText(this.inputs.value(other.input))} and then ${plainText(this.inputs.value(number))} came ${plainText(effects)}, and not ${plainText(expected.effects)}`,
    )
  }
}

function awaken(start: NodeStart): Living {
  return { machine: new NodeMachine(start, (entries, listener) => new SoloLog(entries, listener)), waits: new Map() }
}

function run(living: Living, { now, input }: TimedInput, number: number): readonly Effect[] {
  if ('token' in input) living.waits.delete(input.token)
  const effects = living.machine.step(now, input)
  for (const effect of effects) if ('token' in effect) living.waits.set(effect.token, `${effect.type} ${number}`)
  return effects
}
