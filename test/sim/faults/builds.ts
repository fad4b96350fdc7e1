import { FEATURE_LEVEL } from '@ashlar/proto'
import type { NodeHost } from '../world/node-host.ts'
import type { Victims } from './nemesis.ts'
import type { Tools } from './wide-faults.ts'

/** Nodes that are upgraded, and sent back to the older build as long as that is allowed (amendment 24). */
export class BuildFaults {
  private readonly victims: Victims
  private readonly tools: Tools

  constructor(victims: Victims, tools: Tools) {
    this.victims = victims
    this.tools = tools
  }

  /** Another build is installed on one node, and its process ends, in order or not. */
  changeBuild(): boolean {
    const { chance, nodes, options, truth } = this.victims
    if (options.builds === undefined) return false
    const older = nodes.filter(({ build }) => build < FEATURE_LEVEL)
    const newer = truth.map.featureLevel > 0 ? [] : nodes.filter(({ build }) => build >= FEATURE_LEVEL)
    const from = newer.length === 0 || (older.length > 0 && chance.happens(0.65)) ? older : newer
    if (from.length === 0) return false
    const node = chance.pick(from)
    node.build = from === older ? FEATURE_LEVEL : 0
    if (chance.happens(0.6)) node.shutDown()
    else {
      node.crash({ powerLoss: false })
      this.tools.startLater(node, chance.skewed(10, 4000))
    }
    return true
  }

  /** Every upgrade of a cluster is completed. */
  mend(node: NodeHost): void {
    if (node.build >= FEATURE_LEVEL) return
    node.build = FEATURE_LEVEL
    node.crash({ powerLoss: false })
  }
}
