/** For the unit tests of programs that use the library: a whole cluster in memory, with failures on demand. */

export {
  type MemoryCluster,
  type MemoryClusterOptions,
  type MemoryConnectOptions,
  memoryCluster,
} from './memory-cluster.ts'
export type { MemoryFault, MemoryHold, MemoryRequest } from './memory-faults.ts'
