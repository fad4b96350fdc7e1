import { setTimeout as delay } from 'node:timers/promises'
import { type ClusterResponse, parseDuration } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { Command, Option } from 'commander'
import type { ApiClient } from '../api-client.ts'
import { addCommonOptions, examples, sessionOf } from '../common.ts'
import { parsed } from '../flags.ts'
import { printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

/** From the best on: the command waits for this state or a better one. */
const STATES = ['healthy', 'recovering', 'degraded'] as const
type State = (typeof STATES)[number]

const POLL_MS = 200
/** A node gets this long to respond even where the timeout leaves less, so that the error can say what is missing. */
const LOOK_MS = 2000

export function clusterWait({ io }: Verb): Command {
  const command = new Command('wait')
    .description('wait until the cluster is in a state, or a better one; exits 6 on a timeout')
    .addOption(new Option('--for <state>', 'state to wait for').choices([...STATES]).default('healthy'))
    .option('--timeout <duration>', 'how long', '60s')
  addCommonOptions(command)
  examples(command, ['ashlar cluster wait --for healthy --timeout 60s', 'ashlar cluster wait --for degraded'])
  return command.action(async (options: { for: State; timeout: string }) => {
    const { api, format } = sessionOf(io, command)
    const cluster = await waitFor(api, options.for, parsed('--timeout', options.timeout, parseDuration))
    printOne(io, format, cluster, { name: cluster.state, describe: () => `${cluster.state}\n` })
  })
}

/** Also waits for a node to respond at all. Rejects with TIMEOUT and the reason. */
async function waitFor(api: ApiClient, state: State, timeoutMs: number): Promise<ClusterResponse> {
  const wanted: readonly string[] = STATES.slice(0, STATES.indexOf(state) + 1)
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const seen = await look(api, Math.max(LOOK_MS, deadline - performance.now()))
    if (!(seen instanceof AshlarError) && wanted.includes(seen.state) && (seen.notResponding ?? []).length === 0)
      return seen
    if (performance.now() + POLL_MS > deadline) {
      const because = seen instanceof AshlarError ? seen.message : [`it is ${seen.state}`, ...seen.reasons].join('; ')
      throw new AshlarError('TIMEOUT', `the cluster was not ${state} within ${timeoutMs / 1000} s: ${because}`)
    }
    await delay(POLL_MS)
  }
}

async function look(api: ApiClient, timeoutMs: number): Promise<ClusterResponse | AshlarError> {
  try {
    return await api.cluster(timeoutMs)
  } catch (error) {
    if (error instanceof AshlarError && error.retry === 'same') return error
    throw error
  }
}
