import { AshlarError } from '@ashlar/proto'
import type { Subject } from './subject.ts'

const SCRUB_PATH = '/v1/local/scrub'

/**
 * One cluster as two subjects: while no node scrubs, and while every node does, at the rate that it takes by itself. Runs in
 * turns are pairs, so that what the machine does meanwhile meets both.
 */
export function withAndWithoutScrub(ashlar: Subject, apis: readonly string[]): [Subject, Subject] {
  return [
    { ...ashlar, prepare: () => command(apis, 'pause', 'paused') },
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

/** Asks every node, and takes no other state for an answer: a figure beside a scrub that does not read says nothing. */
async function command(apis: readonly string[], word: 'pause' | 'start', expected: string): Promise<void> {
  for (const api of apis) {
    const response = await fetch(`${api}${SCRUB_PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ do: word }),
    })
    // A pass that was asked for begins in the node's next turn.
    const deadline = performance.now() + 5000
    let state = ((await response.json()) as { state?: string }).state
    while (state !== expected && performance.now() < deadline) {
      state = ((await (await fetch(`${api}${SCRUB_PATH}`)).json()) as { state?: string }).state
    }
    if (state !== expected) throw new AshlarError('INTERNAL', `the scrub of ${api} is ${state} and not ${expected}`)
  }
}
