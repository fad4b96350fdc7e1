import type { ClientEffect, ClientInput } from '@ashlar/client/core'
import type { Effect, Input, LogEntry, MapState } from '@ashlar/node/core'
import type { Bytes, SpaceReport } from '@ashlar/proto'
import type { ClientProcess } from './client-host.ts'
import type { NodeProcess } from './node-host.ts'

/** The observer of a run. Called at the very moment, before an effect is executed and before an input is stepped. */
export interface NodeObserver {
  nodeStarted(node: NodeProcess): void
  nodeEnded(node: NodeProcess, powerLoss: boolean): void
  nodeInput(node: NodeProcess, input: Input): void
  nodeEffect(node: NodeProcess, effect: Effect): void
  nodeFatal(node: NodeProcess, reason: string): void
  /** An entry of the control log reached stable storage. */
  logDurable(node: NodeProcess, entry: LogEntry): void
  /** A voter, one of several, handed over an entry of the control log. */
  logCommitted(node: NodeProcess, entry: LogEntry): void
  /** The same voter's map after this entry, and after whatever snapshot came before it. */
  logApplied(node: NodeProcess, index: number, map: MapState): void
  /** A process received the free space of its store. */
  spaceReported(node: NodeProcess, room: SpaceReport): void
  /** A store met the end of its disk. */
  outOfRoom(node: NodeProcess, bytes: Bytes, freeBytes: Bytes): void
  /** A promise was broken; the run goes on so that what follows is seen too. */
  violation(rule: string, text: string): void
}

export interface ClientObserver {
  clientInput(client: ClientProcess, input: ClientInput): void
  clientEffect(client: ClientProcess, effect: ClientEffect): void
  violation(rule: string, text: string): void
}
