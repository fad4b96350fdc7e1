import { readFile } from 'node:fs/promises'
import { setTimeout as after } from 'node:timers/promises'
import { connect } from '@ashlar/client'
import { MIB } from '@ashlar/proto'
import { parseMemory } from '../../bench/processes.ts'
import type { DevCluster } from '../../kit/dev-cluster.ts'
import { median } from '../../kit/statistics.ts'

const BLOCK = 4096
const LANES = 8
const SAMPLE_MS = 15_000
/** Memory is flat when the last third of a run needs no more than this over the third before it. */
const MOST_GROWTH = 1.1
const MOST_GROWTH_MIB = 16

export interface Away {
  readonly writes: number
  readonly longestMs: number
  /** Anonymous memory of each node that stayed, MiB: the medians of the three thirds of the run. */
  readonly memory: readonly { readonly node: string; readonly thirds: readonly [number, number, number] }[]
  /** From the start of the node until all its replicas are in sync. */
  readonly backMs: number
  readonly flat: boolean
}

/**
 * One node of three is away for `minutes` while the library writes at random; then it comes back. What grows while a replica
 * is away (windows, journals, queues) shows in the memory of the two that stay.
 *
 * @param writesPerSecond pace of the writes, so that a run measures memory and not how fast the machine is
 */
export async function stayAway(
  cluster: DevCluster,
  options: { readonly minutes: number; readonly writesPerSecond: number },
  say: (line: string) => void,
): Promise<Away> {
  const [extent] = await cluster.healthy()
  const away = cluster.info.nodes.find(({ id }) => id !== extent?.primary)
  if (away === undefined) throw new Error('a cluster without replicas')
  const stayed = cluster.info.nodes.filter((node) => node !== away)
  await cluster.kill(away.id)
  const end = performance.now() + options.minutes * 60_000
  const writing = writeUntil(
    end,
    options.writesPerSecond,
    stayed.map(({ peer }) => peer),
  )
  const samples = new Map(stayed.map(({ id }) => [id, [] as number[]]))
  while (performance.now() < end) {
    await Promise.race([after(Math.min(SAMPLE_MS, end - performance.now())), writing])
    for (const { id, api } of stayed) samples.get(id)?.push(await anonymousMib(api))
    say(stayed.map(({ id }) => `${id} ${samples.get(id)?.at(-1)?.toFixed(0)} MiB`).join('  '))
  }
  const { writes, longestMs } = await writing
  const startedAt = performance.now()
  cluster.start(away.id)
  await cluster.healthy('demo', 600_000, stayed[0]?.api)
  const memory = [...samples].map(([node, values]) => ({ node, thirds: thirdsOf(values) }))
  const flat = memory.every(({ thirds: [, second, third] }) => third <= second * MOST_GROWTH + MOST_GROWTH_MIB)
  return { writes, longestMs, memory, backMs: performance.now() - startedAt, flat }
}

async function writeUntil(end: number, perSecond: number, servers: readonly string[]) {
  await using client = await connect({ servers, ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('demo')
  const blocks = volume.sizeBytes / BLOCK
  let writes = 0
  let longestMs = 0
  const lane = async (): Promise<void> => {
    const bytes = new Uint8Array(BLOCK)
    for (let due = performance.now(); due < end; due += (LANES * 1000) / perSecond) {
      await after(Math.max(0, due - performance.now()))
      const begunAt = performance.now()
      bytes.fill(writes & 255)
      await volume.write(Math.floor(Math.random() * blocks) * BLOCK, bytes.slice())
      writes += 1
      longestMs = Math.max(longestMs, performance.now() - begunAt)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return { writes, longestMs }
}

/** Anonymous memory of the process behind an API, MiB, as the kernel counts it. */
async function anonymousMib(api: string): Promise<number> {
  const { pid } = (await (await fetch(`${api}/v1/local`)).json()) as { pid: number }
  return parseMemory(await readFile(`/proc/${pid}/status`, 'utf8')).anonymousBytes / MIB
}

function thirdsOf(values: readonly number[]): [number, number, number] {
  const size = Math.max(1, Math.floor(values.length / 3))
  const third = (at: number): number => median(values.slice(at * size, at === 2 ? undefined : (at + 1) * size))
  return [third(0), third(1), third(2)]
}
