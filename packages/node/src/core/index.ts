/** The pure machines of a storage node. */

export type { Command } from './control/commands.ts'
export type * from './machine.ts'
