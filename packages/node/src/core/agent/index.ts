/** Control's agent on every node: lease, map, and whatever travels between a node and control's leader. */

export { type AgentStart, ControlAgent } from './agent.ts'
export type { AgentView } from './view.ts'
