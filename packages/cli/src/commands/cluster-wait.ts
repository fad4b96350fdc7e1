import { setTimeout as delay } from 'node:timers/promises'
import { type ClusterResponse, parseDuration } from '@ashlar/node/config'
import { AshlarError, ERRORS } from '@ashlar/proto'
import { Command, Option } from 'commander'
import type { ApiClient } from '../api-client.ts'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { describeFailure } from '../failure.ts'
import { parsed } from '../flags.ts'
import type { Io } from '../io.ts'
import { printOne } from '../output.ts'
import { type Cause, Grace, stuckCauses } from '../stuck.ts'
import type { Verb } from '../verb.ts'

/** From the best on: the command waits for this state or a better one. */
const STATES = ['healthy', 'recovering', 'degraded'] as const
type State = (typeof STATES)[number]

const POLL_MS = 200
/** Why waiting may not help is looked at less often: that takes several requests. */
const CAUSES_MS = 1000
/** A node gets this long to respond even where the timeout leaves less, so that the error can say what is missing. */
const LOOK_MS = 2000

interface WaitOptions {
  readonly state: State
  readonly timeoutMs: number
  readonly graceMs: number
}

export function clusterWait({ io }: Verb): Command {
  const command = new Command('wait')
    .description(
      `wait until the cluster is in a state, or a better one; exits ${ERRORS.TIMEOUT.exit} on a timeout, and ${ERRORS.WAIT.exit} where ` +
        'only an operator, or a process that does not run, can bring it there: control has no majority, a node is down and ' +
        'does not respond, no node responds any more, a disk is full, or a loss is not acknowledged',
    )
    .addOption(new Option('--for <state>', 'state to wait for').choices([...STATES]).default('healthy'))
    .option('--timeout <duration>', 'how long', '60s')
    .option('--grace <duration>', `how long such a cause must last before it exits ${ERRORS.WAIT.exit}`, '15s')
  addClusterOptions(command)
  examples(command, ['ashlar cluster wait --for healthy --timeout 60s', 'ashlar cluster wait --for degraded'])
  return command.action(async (options: { for: State; timeout: string; grace: string }) => {
    const { api, format } = sessionOf(io, command)
    const timeoutMs = parsed('--timeout', options.timeout, parseDuration)
    const graceMs = parsed('--grace', options.grace, parseDuration)
    const cluster = await waitFor(io, api, { state: options.for, timeoutMs, graceMs })
    printOne(io, format, cluster, { name: cluster.state, describe: () => `${cluster.state}\n` })
  })
}

/** Also waits for a node to respond at all. Rejects with TIMEOUT, or WAIT where waiting does not help, and the reason. */
async function waitFor(io: Io, api: ApiClient, { state, timeoutMs, graceMs }: WaitOptions): Promise<ClusterResponse> {
  const wanted: readonly string[] = STATES.slice(0, STATES.indexOf(state) + 1)
  const deadline = performance.now() + timeoutMs
  const grace = new Grace(graceMs)
  let causesAt = performance.now()
  let printed = ''
  let responded = false
  for (;;) {
    const seen = await look(api, Math.max(LOOK_MS, deadline - performance.now()))
    const waitsFor = describeSeen(seen)
    if (!(seen instanceof AshlarError) && wanted.includes(seen.state) && isAnswered(seen)) return seen
    if (performance.now() + POLL_MS > deadline) {
      throw new AshlarError('TIMEOUT', `the cluster was not ${state} within ${timeoutMs / 1000} s: ${waitsFor}`)
    }
    if (waitsFor !== printed) io.error(`waits for the cluster to be ${state}: ${waitsFor}\n`)
    printed = waitsFor
    responded ||= !(seen instanceof AshlarError)
    // Nodes that have not responded yet may be about to start.
    if (responded && performance.now() >= causesAt) {
      const causes = grace.lasting(await causesOf(api, seen, state), performance.now())
      if (causes.length > 0) throw stuck(io, state, seen, causes)
      causesAt = performance.now() + Math.min(CAUSES_MS, graceMs)
    }
    await delay(POLL_MS)
  }
}

async function causesOf(api: ApiClient, seen: ClusterResponse | AshlarError, state: State): Promise<Cause[]> {
  if (seen instanceof AshlarError) return [{ key: 'no node responds', text: seen.message }]
  // Another node may see more than one that control has lost contact with.
  if (seen.mapIsCurrent === false) await api.reconsider()
  return await stuckCauses(api, seen, state !== 'degraded')
}

function isAnswered({ notResponding = [] }: ClusterResponse): boolean {
  return notResponding.length === 0
}

function describeSeen(seen: ClusterResponse | AshlarError): string {
  if (seen instanceof AshlarError) return describeFailure(seen)
  const silent = (seen.notResponding ?? []).map((node) => `${node} does not respond`)
  return [`it is ${seen.state}`, ...seen.reasons, ...silent].join('; ')
}

function stuck(io: Io, state: State, seen: ClusterResponse | AshlarError, causes: readonly Cause[]): AshlarError {
  const { todo = [] } = seen instanceof AshlarError ? {} : seen
  if (todo.length > 0) io.error(`To do:\n${todo.map((line) => `  ${line}\n`).join('')}`)
  const because = causes.map(({ text }) => text).join('; ')
  return new AshlarError('WAIT', `the cluster does not become ${state} without an operator: ${because}`, {
    hint: seen instanceof AshlarError ? (seen.hint ?? '') : todo.length > 0 ? '' : 'see ashlar explain cluster',
  })
}

async function look(api: ApiClient, timeoutMs: number): Promise<ClusterResponse | AshlarError> {
  try {
    return await api.cluster(timeoutMs)
  } catch (error) {
    if (error instanceof AshlarError && error.retry === 'same') return error
    throw error
  }
}
