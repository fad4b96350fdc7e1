import type { ExtentId, StoreId } from '@ashlar/proto'

/** One node: its machine and its disk. What has a number here is kept once, in `LocalStates` or `Images`. */
export interface NodeState {
  readonly up: boolean
  /** Starts of this store so far. */
  readonly counter: number
  readonly machine: number
  /** What is on stable storage. */
  readonly image: number
  /** Writes that are not, in order. */
  readonly queue: readonly number[]
  /** What is on it where it loses its last write without a sign. */
  readonly short?: number
}

/** One direction of one connection. */
export interface Wire {
  readonly connection: number
  readonly from: number
  readonly to: number
  /** Messages in flight, in order. */
  readonly queue: readonly number[]
  /** The sending process has ended: what is in flight may still arrive, until the other end learns of it. */
  readonly dying: boolean
}

/**
 * One call of a program: not sent yet, or refused so that it surely had no effect (new), sent, over without an answer
 * that says (open), or answered.
 */
export interface Call {
  readonly state: 'new' | 'sent' | 'open' | 'done'
  /** The store that it was last sent to, under which epoch. */
  readonly node: number
  readonly epoch: number
  /** It was open before. */
  readonly again: boolean
  /** Newest epoch in which a store served when it was sent. */
  readonly since: number
}

/** What the two programs did, what was promised to them, and how much may still go wrong. */
export interface Surroundings {
  readonly writes: readonly Call[]
  readonly reads: readonly Call[]
  /** Calls on block 0 that began and ended, in order: `w1(`, `w1)`, `r1(`, `r1=2`. */
  readonly history: readonly string[]
  /** Where each write was applied: epoch and seq, by write. */
  readonly applied: readonly (readonly Position[])[]
  /** Newest acknowledged position of each block. */
  readonly acknowledged: readonly (readonly [block: number, position: Position])[]
  /** The store that served in each epoch: store and start. */
  readonly served: readonly string[]
  /** Checksums of versions that exist or existed, by `block:epoch:seq`. */
  readonly contents: readonly string[]
  readonly retries: number
  readonly crashes: number
  readonly cuts: number
  /** Times that time may pass although something is in flight. */
  readonly delays: number
  /** Times that time may pass at all. */
  readonly pauses: number
  /** Stores that lose their last write without a sign, before any of them starts. */
  readonly tails: number
  /** The node that is cut from control. */
  readonly cut: number | undefined
  /** Nodes that are cut from all other nodes, for the whole search; programs reach them. */
  readonly apart: readonly number[]
}

export type Position = readonly [epoch: number, seq: number]

/** One state of the whole. */
export interface State {
  readonly now: number
  readonly connections: number
  readonly nodes: readonly NodeState[]
  readonly wires: readonly Wire[]
  readonly around: Surroundings
}

/** What is searched: a cluster of one control node and some stores with one extent, from where, and what may happen. */
export interface Scenario {
  readonly name: string
  /** One clause for people. */
  readonly about: string
  readonly stores: number
  readonly minInSync: number
  /**
   * steady: every store is in sync and the primary serves. opening: the primary was just named and opens its streams.
   * joining: the last store was away, was removed, and comes back. reopening: the last store is in sync, has just
   * started again, and its stream is not open yet. apart: the primary and one more are left in sync, below minInSync,
   * and are cut from the others, which are eligible; control has named one of those. dark: write 1 was answered, then the
   * power failed on all stores; one of them lost that write, and none has started yet.
   */
  readonly from: 'steady' | 'opening' | 'joining' | 'reopening' | 'apart' | 'dark'
  readonly writes: number
  /** All writes go to block 0, or write 1 to block 0 and write 2 to block 1. */
  readonly blocks: 1 | 2
  readonly reads: number
  readonly retries: number
  readonly crashes: number
  readonly cuts: number
  readonly delays: number
  readonly pauses: number
  /** Which nodes may crash: the stores, or control's node as well. */
  readonly victims: 'stores' | 'all'
}

export const EXTENT = 4096 as ExtentId
export const BLOCK_BYTES = 4096
/** Node 0 has the control log and no replica. */
export const CONTROL = 0

export function storeName(node: number): StoreId {
  return `0000000${node}-0000-7000-8000-00000000000${node}` as StoreId
}

export function keyOf(state: State, aroundNumber: number): string {
  const parts: (string | number)[] = [state.now, state.connections, aroundNumber]
  for (const { up, counter, machine, image, queue } of state.nodes) {
    parts.push(up ? counter : -counter, up ? machine : 0, image, queue.join('.'))
  }
  for (const { connection, from, to, queue, dying } of state.wires) {
    parts.push(`${connection}${dying ? '!' : ':'}${from}${to}`, queue.join('.'))
  }
  return parts.join(' ')
}
