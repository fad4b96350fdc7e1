/**
 * The part of a measurement of delays that is inside of the workload's namespace. Started by run.ts as `delay.ts OPTIONS`.
 */
import type { DelayOptions } from '../delay.ts'
import { buildNetwork, enterNetwork, handReport } from '../inside.ts'
import { measureDelay } from '../measure-delay.ts'

/** Delays have no chance in them, and no packet is lost. */
const SEED = 1

const inside = enterNetwork<DelayOptions>()
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort(new Error(`stopped by ${name}`)))
const { wire, cluster } = await buildNetwork(inside, SEED)
try {
  await cluster.startNodes()
  const report = await measureDelay({ cluster, wire, signal: stop.signal }, inside.options)
  if (cluster.ownEnds.length > 0) throw new Error(cluster.ownEnds.join('; '))
  handReport(inside, report)
  // Nothing is asked of them any more: an orderly end would only take time.
  await Promise.all(cluster.nodes.map((node) => cluster.kill(node)))
} finally {
  await wire.stop()
}
process.exit()
