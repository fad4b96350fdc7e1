import { Beginnings } from './beginnings.ts'
import { Cluster, type Draft } from './cluster.ts'
import { Events } from './events.ts'
import { Numbers } from './fingerprint.ts'
import { keyOf, type Scenario, type State, type Surroundings } from './state.ts'

/** What a search came to. */
export interface Found {
  readonly scenario: Scenario
  /** Every state that the bounds allow was reached. */
  readonly complete: boolean
  readonly states: number
  /** Those in which every call was answered. */
  readonly answered: number
  readonly steps: number
  readonly nodeStates: number
  readonly transitions: number
  /** Pairs of ways to one state of a node that were compared. */
  readonly compared: number
  readonly ms: number
  /** What was broken first, and every event up to it. */
  readonly violation: { readonly text: string; readonly events: readonly string[] } | undefined
}

export interface Limits {
  readonly states: number
  readonly ms: number
}

interface Reached {
  readonly state: State
  readonly parent: Reached | undefined
  readonly event: string
}

/** Goes through every state that can be reached from the beginning of a scenario, each once, until something is broken. */
export function explore(
  scenario: Scenario,
  limits: Limits,
  progress?: (states: number, waiting: number) => void,
): Found {
  const started = performance.now()
  const cluster = new Cluster(scenario)
  const events = new Events(cluster)
  const arounds = new Numbers<Surroundings>()
  const seen = new Set<string>()
  const waiting: Reached[] = []
  let steps = 0
  let answered = 0
  let violation: Found['violation']
  const begin = new Beginnings(cluster, events).begin()
  if (begin.violations[0] !== undefined) violation = { text: begin.violations[0], events: [scenario.name] }
  seen.add(keyOf(begin, arounds.of(begin.around)))
  waiting.push({ state: withoutNotes(begin), parent: undefined, event: scenario.name })
  const outOfTime = (): boolean => performance.now() - started > limits.ms
  while (waiting.length > 0 && violation === undefined && seen.size < limits.states && !outOfTime()) {
    const reached = waiting.pop() as Reached
    for (const event of events.of(reached.state)) {
      const draft = cluster.draft(reached.state)
      event.happen(draft)
      events.follow(draft)
      steps++
      const [text] = draft.violations
      if (text !== undefined) {
        violation = { text, events: [...pathTo(reached), event.name] }
        break
      }
      const state = withoutNotes(draft)
      const key = keyOf(state, arounds.of(state.around))
      if (seen.has(key)) continue
      seen.add(key)
      if (isAnswered(state)) answered++
      if (seen.size % 10_000 === 0) progress?.(seen.size, waiting.length)
      waiting.push({ state, parent: reached, event: event.name })
    }
  }
  const { size: nodeStates, transitions, compared } = cluster.locals
  return {
    scenario,
    complete: waiting.length === 0 && violation === undefined,
    states: seen.size,
    answered,
    steps,
    nodeStates,
    transitions,
    compared,
    ms: performance.now() - started,
    violation,
  }
}

function isAnswered({ around }: State): boolean {
  return [...around.writes, ...around.reads].every((call) => call.state === 'done')
}

/** A draft that is finished. */
function withoutNotes({ now, connections, nodes, wires, around }: Draft): State {
  return { now, connections, nodes, wires, around }
}

function pathTo(reached: Reached): string[] {
  const path: string[] = []
  for (let at: Reached | undefined = reached; at !== undefined; at = at.parent) path.push(at.event)
  return path.reverse()
}
