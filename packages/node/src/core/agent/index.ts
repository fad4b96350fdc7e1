/** Control's agent on every node: lease, map, and whatever travels between a node and control's leader. */

export { ControlAgent } from './agent.ts'
