import { type Epoch, type ExtentId, MapCopy, type NodeState, type SetChange, type Trust } from '@ashlar/proto'
import type { Replication } from '../../../src/core/replication/index.ts'
import { Disk } from './disk.ts'

/** One store of a `World`: its disk, its machine, and what it asked of control. */
export class Host {
  readonly disk = new Disk()
  counter = 1
  /** As control has registered it. */
  trust: Trust = 'trusted'
  state: NodeState = 'up'
  up = true
  lease = true
  /** Up to this moment its map is known to be whole. */
  mapAsOf = Number.NEGATIVE_INFINITY
  replication!: Replication
  readonly map = new MapCopy()
  readonly pending: { token: number }[] = []
  readonly changes: SetChange[] = []
  readonly released: { reason: string; epoch: Epoch }[] = []
  /** The promises that it reported to control. */
  readonly promises: { extent: ExtentId; epoch: Epoch; promised: Epoch }[] = []
  readonly events: { what: string; [key: string]: unknown }[] = []
  /** Commits become durable by themselves. */
  autoSync = true
  /** Blocks are read at once; else `finishReads` answers what is read now. */
  autoRead = true
  readonly reads: (() => void)[] = []
  handedOver = false
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}
