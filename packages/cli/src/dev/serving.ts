import type { ChildProcess } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import type { LocalResponse } from '@ashlar/node/config'
import { AshlarError, counted } from '@ashlar/proto'
import { type DevNode, LOOK_MS, localOf } from './find.ts'
import { lastWords } from './log-file.ts'
import { answersNbd } from './ports.ts'
import { describeEnd, hasEnded } from './processes.ts'
import type { DevState } from './state.ts'

/** How long a started process may take until it serves: a node first opens its store. */
const SERVE_MS = 60_000
const POLL_MS = 50
/** A cluster that lacks a majority for this long, while the started node listens, is not waited for. */
const NO_MAJORITY_MS = 1000

/** A process that was started, and the size of its log before. */
export interface StartedProcess {
  readonly id: string
  readonly child: ChildProcess
  readonly log: string
  readonly logFrom: number
}

/** How far a started node came: registered, or it only listens because control has no majority. */
export interface Serving {
  readonly registered: boolean
  /** Nodes of which a majority lacks some; empty when it registered. */
  readonly silent: readonly string[]
  readonly votersAnswering: number
  readonly voters: number
}

/** Resolves once the node has registered with its cluster, or listens while no majority runs. Rejects with the end of its log. */
export async function nodeServes(started: StartedProcess, state: DevState): Promise<Serving> {
  let lackingSince: number | undefined
  let reason = 'it does not listen yet'
  return await untilServing(
    started,
    async () => {
      const locals = await Promise.all(state.nodes.map(async (node) => ({ node, local: await localOf(node) })))
      const own = locals.find(({ node }) => node.id === started.id)?.local
      if (own === undefined || own.pid !== started.child.pid) return undefined
      const serving = { ...servingOf(started.id, locals), registered: own.leaseHeld }
      if (serving.registered) return serving
      reason = own.reason
      if (serving.silent.length === 0) lackingSince = undefined
      else lackingSince ??= performance.now()
      return lackingSince !== undefined && performance.now() - lackingSince >= NO_MAJORITY_MS ? serving : undefined
    },
    () => `it has not registered with the cluster within ${SERVE_MS / 1000} s: ${reason}`,
  )
}

/** Resolves once an NBD server listens. Rejects with the end of its log. */
export async function gatewayServes(started: StartedProcess, listener: string): Promise<void> {
  await untilServing(
    started,
    async () => ((await answersNbd(listener, LOOK_MS)) ? true : undefined),
    () => `it does not listen at ${listener} after ${SERVE_MS / 1000} s`,
  )
}

async function untilServing<T>(
  { id, child, log, logFrom }: StartedProcess,
  look: () => Promise<T | undefined>,
  late: () => string,
): Promise<T> {
  const hint = `its log is ${log}`
  for (const deadline = performance.now() + SERVE_MS; ; ) {
    const seen = await look()
    // Another process may respond at the address: what ended did not start.
    if (hasEnded(child)) {
      const words = (await lastWords(log, logFrom)) ?? 'it gave no reason'
      throw new AshlarError('INTERNAL', `${id} ended ${describeEnd(child)}: ${words}`, { hint })
    }
    if (seen !== undefined) return seen
    if (performance.now() > deadline) {
      const words = await lastWords(log, logFrom)
      const last = words === undefined ? '' : `; its last line: ${words}`
      throw new AshlarError('TIMEOUT', `${id} runs as process ${child.pid}, but ${late()}${last}`, { hint })
    }
    await delay(POLL_MS)
  }
}

/** Whether the nodes that respond are a majority of control's voters, and which nodes do not respond where they are not. */
export function servingOf(
  started: string,
  locals: readonly { readonly node: Pick<DevNode, 'id'>; readonly local: LocalResponse | undefined }[],
): Omit<Serving, 'registered'> {
  const answers = locals.flatMap(({ node, local }) => (local === undefined ? [] : [{ id: node.id, local }]))
  const silent = locals.filter(({ local }) => local === undefined).map(({ node }) => node.id)
  // The directory of the started node may be of another cluster: others, and those with a lease, know better who votes.
  const rank = ({ id, local }: (typeof answers)[number]): number => (local.leaseHeld ? 2 : 0) + (id === started ? 0 : 1)
  const knowing = answers.filter(({ local }) => local.control !== null).sort((a, b) => rank(b) - rank(a))
  const voters = knowing[0]?.local.control?.voters ?? []
  const voting = answers.filter(({ local }) => voters.includes(local.store) && local.control?.recovering !== true)
  const counts = { votersAnswering: voting.length, voters: voters.length }
  // Without voters there is no cluster yet: all nodes are needed to make one.
  const enough = voters.length === 0 ? silent.length === 0 : voting.length > voters.length / 2
  return { silent: enough ? [] : silent, ...counts }
}

/** What a started node waits for, and what to start. */
export function describeMajority(
  { silent, votersAnswering, voters }: Serving,
  startCommand: (id: string) => string,
): string {
  const missing =
    voters === 0
      ? `there is no cluster yet, and ${silent.join(', ')} must run to make one`
      : `control has no majority: ${votersAnswering} of ${counted(voters, 'voter')} ${votersAnswering === 1 ? 'responds' : 'respond'}, and ${Math.floor(voters / 2) + 1} are needed`
  return [
    `it has not registered, since ${missing}; start another node:`,
    ...silent.map((id) => `  ${startCommand(id)}`),
  ].join('\n')
}
