import { AshlarError } from '@ashlar/proto'
import type { Subject } from './subject.ts'

const SCRUB_PATH = '/v1/local/scrub'

/**
 * One cluster as two subjects: while no node scrubs, and while every node does, at the rate that it takes by itself.
 * Runs in turns are pairs, so that what the machine does meanwhile meets both.
 */
export function withAndWithoutScrub(ashlar: Subject, apis: readonly string[]): [Subject, Subject] {
  return [
    { ...ashlar, prepare: () => pauseScrubs(apis) },
    {
      ...ashlar,
      name: 'ashlar-scrubbing',
      sharesDevice: true,
      prepare: () => command(apis, 'start', 'running'),
      // The cluster is the other subject's to stop.
      stop: async () => undefined,
    },
  ]
}

export async function pauseScrubs(apis: readonly string[]): Promise<void> {
  await command(apis, 'pause', 'paused')
}

/** Asks every node, and takes no other state for an answer: a figure beside a scrub that does not read says nothing. */
async function command(apis: readonly string[], action: 'pause' | 'start', expected: string): Promise<void> {
  for (const api of apis) {
    // A pass that was asked for begins in the node's next turn.
    const deadline = performance.now() + 5000
    let state = await askScrub(api, action)
    while (state !== expected && performance.now() < deadline) state = await scrubStateOf(api)
    if (state !== expected) throw new AshlarError('INTERNAL', `the scrub of ${api} is ${state} and not ${expected}`)
  }
}

/** Sends one node a command, and returns its state at that moment. */
export async function askScrub(api: string, action: 'pause' | 'start'): Promise<string | undefined> {
  const response = await fetch(`${api}${SCRUB_PATH}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ do: action }),
  })
  return await stateIn(response)
}

export async function scrubStateOf(api: string): Promise<string | undefined> {
  return await stateIn(await fetch(`${api}${SCRUB_PATH}`))
}

async function stateIn(response: Response): Promise<string | undefined> {
  return ((await response.json()) as { state?: string }).state
}
