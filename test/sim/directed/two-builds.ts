import { FEATURE_LEVEL } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import type { NodeHost } from '../world/node-host.ts'
import { Stage } from './stage.ts'

/** Frames go through the codec, which leaves out what the older build does not know. */
const NETWORK = { delayMs: 1, tailPerFrame: 0, tailMs: 0, lossPerFrame: 0, encoded: true }

/**
 * A cluster of the build before this one is upgraded node by node under load (amendment 24): one node goes back
 * meanwhile, and the last one is down for a while before it is upgraded. The level rises after that and not before.
 * Then a directory from before the raise comes back with the older build: all refuse it, until it is upgraded too.
 */
export function upgradedNodeByNode(): readonly Violation[] {
  const stage = new Stage({ voters: 3, minInSync: 2, builds: [0, 0, 0], network: NETWORK })
  const [first, second, third] = stage.world.nodes as [NodeHost, NodeHost, NodeHost]
  install(stage, first, FEATURE_LEVEL)
  install(stage, second, FEATURE_LEVEL)
  stage.run(3000)
  install(stage, second, 0)
  install(stage, second, FEATURE_LEVEL)
  third.crash({ powerLoss: false })
  stage.run(5000)
  install(stage, third, FEATURE_LEVEL)
  const { map } = stage.world.checkers.truth
  stage.expect('the level rises', () => map.featureLevel === FEATURE_LEVEL, 5000)
  second.crash({ powerLoss: false })
  second.disk.identity = { ...second.disk.identity, featureLevel: 0 }
  second.build = 0
  second.start()
  stage.run(5000)
  install(stage, second, FEATURE_LEVEL)
  return stage.finish()
}

/** Replaces the build of a node, and waits until the cluster is whole again. */
function install(stage: Stage, node: NodeHost, build: number): void {
  node.build = build
  node.crash({ powerLoss: false })
  node.start()
  stage.run(500).until(`${node.name} is back`, () => stage.world.healed(), 30_000)
}
