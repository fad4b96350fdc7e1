/**
 * `npm run bench:ticks`: what a tick of a node costs while a node of three is away. docs/benchmarks.md has the figures.
 */
import {
  type ClusterId,
  type Epoch,
  type ExtentId,
  type ExtentRecord,
  extentId,
  MapCopy,
  MIB,
  type NodeName,
  type StoreId,
  TIMERS,
  type VolumeId,
  WIRE_VERSION,
} from '@ashlar/proto'
import type { ControlView, PeerLinks } from '../../../packages/node/src/core/interfaces.ts'
import type { Context, Effect } from '../../../packages/node/src/core/machine.ts'
import { Replication } from '../../../packages/node/src/core/replication/index.ts'

const EXTENTS = Number(process.argv[2] ?? 4000)
const TICKS = 400
const VOLUME = 1 as VolumeId
const [SELF, B, C] = ['a', 'b', 'c'] as readonly string[] as readonly [StoreId, StoreId, StoreId]

function record(index: number): ExtentRecord {
  const assigned = [SELF, B, C]
  const id = extentId(VOLUME, index)
  const primary = { store: SELF, counter: 1 }
  return { id, revision: 1, epoch: 1 as Epoch, primary, inSync: [SELF], eligible: [], assigned, changedAt: 1 }
}

/**
 * A store that leads every extent, alone in each in-sync set: its peers are away, and every write of its own is durable
 * at once.
 */
class Alone {
  readonly extents: readonly ExtentId[]
  now = 100_000
  private readonly replication: Replication
  private tokens = 0

  constructor() {
    const map = new MapCopy()
    const records = Array.from({ length: EXTENTS }, (_, index) => record(index))
    this.extents = records.map(({ id }) => id)
    const node = { api: '', incarnation: { bootId: 'x', counter: 1 }, trust: 'trusted', changedAt: 1 } as const
    map.apply({
      ...{ cluster: 'c' as ClusterId, clusterGeneration: 0, from: 0, to: 1, voters: [], removedVolumes: [] },
      nodes: [SELF, B, C].map((store) => ({
        ...{ ...node, store, name: store as string as NodeName, address: `${store}:1` },
        state: store === SELF ? 'up' : 'down',
      })),
      volumes: [
        {
          ...{ id: VOLUME, name: 'v', sizeBytes: EXTENTS * 16 * MIB, blockSizeBytes: 4096, extentSizeBytes: 16 * MIB },
          ...{ replicas: 3, minInSync: 1, generation: 1, holders: [], changedAt: 1 },
        },
      ],
      extents: records,
    })
    const links: PeerLinks = {
      ...{ dialed: () => undefined, dialedAddress: () => undefined, storeOf: () => undefined },
      ...{ counterOf: () => undefined, wireOf: () => WIRE_VERSION, levelOf: () => 0 },
      ...{ lastHeard: () => 0, lastFrame: () => 0 },
    }
    const control = {
      map,
      leaseHeld: () => true,
      mapAsOf: () => 0,
      requestChange() {},
      release() {},
    } as unknown as ControlView
    this.replication = new Replication({ self: SELF, counter: 1, trust: 'trusted', control, links, replicas: [] })
  }

  begin(): void {
    this.step((ctx) => this.replication.onMapChanged(ctx, this.extents, []))
    this.pass(TIMERS.silentMs)
  }

  pass(ms: number): void {
    for (const until = this.now + ms; this.now < until; ) this.tick()
  }

  tick(): void {
    this.now += TIMERS.tickMs
    this.step((ctx) => this.replication.onTick(ctx))
  }

  private step(act: (ctx: Context) => void): void {
    const effects: Effect[] = []
    const ctx: Context = {
      ...{ now: this.now, token: () => ++this.tokens, random: () => 0.5, event: () => undefined },
      emit: (effect) => effects.push(effect),
    }
    act(ctx)
    this.replication.endStep(ctx)
    for (const effect of effects)
      if (effect.type === 'commit')
        this.step((later) => this.replication.onCompletion(later, { type: 'committed', token: effect.token }))
  }
}

const store = new Alone()
store.begin()
const took: number[] = []
for (let tick = 0; tick < TICKS; tick++) {
  const began = performance.now()
  store.tick()
  took.push(performance.now() - began)
}
took.sort((a, b) => a - b)
const at = (share: number): string => (took[Math.floor(share * (TICKS - 1))] as number).toFixed(4)
console.log(`${EXTENTS} extents led, two replicas of each away, ${TICKS} ticks of ${TIMERS.tickMs} ms:`)
console.log(`a tick takes ${at(0.5)} ms (median), ${at(0.99)} ms (p99)`)
