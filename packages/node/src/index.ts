/** A storage node of Ashlar, for programs that run one in their own process. */
export { type Node, type NodeOptions, startNode } from './node.ts'
export { Observer, type ObserverOptions } from './observe/index.ts'
export { endOfStart } from './storage/index.ts'
