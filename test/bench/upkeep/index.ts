import { setTimeout as delay } from 'node:timers/promises'
import { type Bytes, GIB } from '@ashlar/proto'
import type { AshlarSubject } from '../ashlar.ts'
import { processesOf } from '../empty-cluster.ts'
import type { MeasuredProcess } from '../processes.ts'
import { askScrub, pauseScrubs, scrubStateOf } from '../scrubbing.ts'
import type { Beside, Subject } from '../subject.ts'
import { type Sighting, shareOfIntervals, shareOfSightings } from './coverage.ts'
import { RebuiltNode } from './rebuild.ts'
import { Trimming } from './trimming.ts'

const TRIMMED = 'trimmed'
const TRIM_BYTES: Bytes = GIB
/** The first seconds of a run do not count: the trim, which is soon over, begins behind them. */
const TRIM_AFTER_MS = 4000
const LOOK_MS = 1000

/**
 * One cluster as two subjects: quiet, and while three things go on at once that no client may notice: every node
 * scrubs, the replicas of a node that lost its directory are rebuilt, and 1 GiB is trimmed. The trimmed volume is no
 * larger than the device.
 */
export async function withAndWithoutUpkeep(
  ashlar: AshlarSubject,
  sizeBytes: Bytes,
  signal: AbortSignal,
): Promise<[Subject, Subject]> {
  const { cluster } = ashlar
  const { nodes } = cluster.info
  const apis = nodes.map(({ api }) => api)
  const trimming = await Trimming.create(
    nodes.map(({ peer }) => peer),
    TRIMMED,
    Math.min(TRIM_BYTES, sizeBytes),
  )
  const rebuilt = await RebuiltNode.choose(cluster, [ashlar.volume, TRIMMED])
  await rebuilt.leadNothing()
  const processes = (): MeasuredProcess[] =>
    processesOf(cluster).map(({ name, pid }) => ({ name, pid: name === rebuilt.id ? rebuilt.pid : pid }))
  const shared = { fio: ashlar.fio, fioEnvironment: ashlar.fioEnvironment }
  const quiet: Subject = {
    ...{ ...shared, name: 'ashlar' },
    get processes() {
      return processes()
    },
    async prepare() {
      await pauseScrubs(apis)
      await rebuilt.inSync()
    },
    async stop() {
      await trimming.close()
      await ashlar.stop()
    },
  }
  const busy: Subject = {
    ...{ ...shared, name: 'ashlar-upkeep', sharesDevice: true },
    get processes() {
      return processes()
    },
    async prepare() {
      await pauseScrubs(apis)
      await rebuilt.inSync()
      await trimming.fill(signal)
    },
    beginBeside: () => beginUpkeep(apis, rebuilt, trimming, signal),
    // The cluster is the other subject's to stop.
    stop: async () => undefined,
  }
  return [quiet, busy]
}

async function beginUpkeep(
  apis: readonly string[],
  rebuilt: RebuiltNode,
  trimming: Trimming,
  signal: AbortSignal,
): Promise<Beside> {
  await rebuilt.wipe()
  // Not all of them are seen to scrub: the one that lost its directory has nothing to read yet.
  for (const api of apis) await askScrub(api, 'start')
  const over = new AbortController()
  const until = AbortSignal.any([signal, over.signal])
  const scrubs: Sighting[] = []
  const rebuilds: Sighting[] = []
  const all = Promise.allSettled([
    trimLater(trimming, until),
    look(until, async () => {
      scrubs.push({ atMs: Date.now(), share: await scrubbingShare(apis) })
      rebuilds.push({ atMs: Date.now(), share: (await rebuilt.isFilled()) ? 1 : 0 })
    }),
  ])
  return {
    async end() {
      over.abort()
      for (const outcome of await all) if (outcome.status === 'rejected') throw outcome.reason
    },
    covered: (fromMs, toMs) => ({
      scrub: shareOfSightings(scrubs, fromMs, toMs),
      rebuild: shareOfSightings(rebuilds, fromMs, toMs),
      trim: shareOfIntervals(trimming.trims, fromMs, toMs),
    }),
  }
}

async function trimLater(trimming: Trimming, until: AbortSignal): Promise<void> {
  await delay(TRIM_AFTER_MS, undefined, { signal: until }).catch(() => undefined)
  if (!until.aborted) await trimming.trim(until)
}

/** Calls `see` once a second until it is over. */
async function look(until: AbortSignal, see: () => Promise<void>): Promise<void> {
  while (!until.aborted) {
    await see()
    await delay(LOOK_MS, undefined, { signal: until }).catch(() => undefined)
  }
}

/**
 * How many nodes scrub, as a share. A pass that is over, as it soon is on a node that holds little yet, begins again.
 */
async function scrubbingShare(apis: readonly string[]): Promise<number> {
  let running = 0
  for (const api of apis) {
    if ((await scrubStateOf(api)) === 'running') running++
    else await askScrub(api, 'start')
  }
  return running / apis.length
}
