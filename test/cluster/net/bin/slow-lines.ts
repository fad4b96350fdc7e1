/**
 * The part of a rebuild over slow lines that is inside of the workload's namespace. Started by run.ts as `slow-lines.ts OPTIONS`.
 */
import { buildNetwork, enterNetwork, handReport } from '../inside.ts'
import { rebuildOverSlowLines, type SlowLineOptions } from '../slow-lines.ts'

/** No packet is lost by chance. */
const SEED = 1

const inside = enterNetwork<SlowLineOptions>()
const { directory, options } = inside
const { wire, cluster } = await buildNetwork(inside, SEED)
const log = (line: string): void => void process.stdout.write(`${line}\n`)
try {
  await cluster.startNodes()
  const report = await rebuildOverSlowLines({ cluster, wire, directory, log }, options)
  log(`packets: ${JSON.stringify(await wire.counts())}`)
  if (cluster.ownEnds.length > 0) throw new Error(cluster.ownEnds.join('; '))
  handReport(inside, report)
  // Nothing is asked of them any more: an orderly end would only take time.
  await Promise.all(cluster.nodes.map((node) => cluster.kill(node)))
} finally {
  await wire.stop()
}
process.exit()
