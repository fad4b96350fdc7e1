import { reachOf } from '../admin/contact.ts'
import { forcedOf, HEALTH_STATES, type HealthState, nodesThatCount, volumeHealth, worst } from '../admin/health.ts'
import type { NodeView } from '../admin/node-view.ts'
import type { ExtentStatus } from '../core/replication/index.ts'
import type { NodeMetrics } from './metrics/index.ts'
import type { Register } from './register.ts'

const NODE_STATES = ['up', 'down', 'draining'] as const
/** `recovering` is known to primaries only; the map and the contact to control show the other states. */
const MAP_STATES = HEALTH_STATES.filter((state) => state !== 'recovering')

/** Reads states, which have no events, at each exposition: the map, the local extents, the lease. */
export function collectNode(register: Register, metrics: NodeMetrics, view: NodeView): void {
  for (const { option } of view.insecure) metrics.process.insecureListener.set({ option }, 1)
  const known = new Set<string>()
  register.onCollect(() => {
    forgetRemoved(register, view, known)
    collectControl(metrics, view)
    collectVolumes(metrics, view)
    collectExtents(metrics, view, view.localExtents())
  })
}

/** Drops the series of removed volumes, which would otherwise accumulate. */
function forgetRemoved(register: Register, view: NodeView, known: Set<string>): void {
  const present = new Set([...view.map.volumes.values()].map(({ name }) => name))
  for (const name of known) if (!present.has(name)) register.forget('volume', name)
  known.clear()
  for (const name of present) known.add(name)
}

function collectControl({ control }: NodeMetrics, view: NodeView): void {
  control.mapRevision.set({}, view.map.revision)
  control.featureLevel.set({}, view.map.featureLevel)
  control.leaderKnown.set({}, view.leader === undefined ? 0 : 1)
  control.leaseHeld.set({}, view.leaseHeld ? 1 : 0)
  const nodes = nodesThatCount(view.map)
  for (const state of NODE_STATES) control.nodes.set({ state }, nodes.filter((node) => node.state === state).length)
}

function collectVolumes({ replication, control }: NodeMetrics, view: NodeView): void {
  const states: HealthState[] = []
  replication.attachments.clear()
  const { lost } = reachOf(view)
  // Without contact to control the map may be old. A store that is silent is the business of the node that leads control.
  const reach = { ...(lost === undefined ? {} : { lost }), isSilent: () => false }
  for (const volume of view.map.volumes.values()) {
    const health = volumeHealth(view.map, volume, () => undefined, reach)
    states.push(health.state)
    for (const state of MAP_STATES) replication.extents.set({ volume: volume.name, state }, health.extents[state])
    replication.inSyncReplicas.set({ volume: volume.name }, health.fewestInSync)
    const open = forcedOf(view.map, volume).filter(({ acknowledged }) => !acknowledged)
    replication.forcedExtents.set({ volume: volume.name }, open.length)
    for (const mode of ['exclusive', 'shared', 'read-only']) {
      const holders = volume.holders.filter((holder) => holder.mode === mode)
      if (holders.length > 0) replication.attachments.set({ volume: volume.name, mode }, holders.length)
    }
  }
  control.state.set({}, HEALTH_STATES.indexOf(worst(states)))
  for (const state of MAP_STATES) control.volumes.set({ state }, states.filter((known) => known === state).length)
}

function collectExtents(
  { replication, recovery }: NodeMetrics,
  view: NodeView,
  extents: readonly ExtentStatus[],
): void {
  const primaries = extents.filter(({ role }) => role === 'primary')
  const behind = new Map<string, number>([...view.map.volumes.values()].map(({ name }) => [name, 0]))
  const streams = new Map<string, number>()
  let yielding = 0
  for (const extent of primaries) {
    const volume = view.map.locate(extent.extent)?.volume.name
    for (const stream of extent.streams) {
      streams.set(stream.phase, (streams.get(stream.phase) ?? 0) + 1)
      if (stream.throttled) yielding++
      if (volume !== undefined) behind.set(volume, (behind.get(volume) ?? 0) + stream.behindBlocks)
    }
  }
  recovery.yieldingStreams.set({}, yielding)
  recovery.streams.clear()
  for (const [phase, count] of streams) recovery.streams.set({ phase }, count)
  for (const [volume, blocks] of behind) recovery.behindBlocks.set({ volume }, blocks)
  replication.primaries.clear()
  for (const [phase, all] of Map.groupBy(primaries, (extent) => extent.phase)) {
    replication.primaries.set({ phase }, all.length)
  }
  const pending = primaries.reduce((sum, { pendingWrites }) => sum + pendingWrites, 0)
  replication.pendingWrites.set({}, pending)
}
