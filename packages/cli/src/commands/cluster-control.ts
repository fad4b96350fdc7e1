import type { ChangeMembersRequest, ControlMembersResponse } from '@ashlar/node/config'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import type { Io } from '../io.ts'
import { type Column, type Format, formatTable, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

type Member = ControlMembersResponse['members'][number]

const COLUMNS: readonly Column<Member>[] = [
  { title: 'NODE', value: ({ node }) => node },
  { title: 'VOTES', value: ({ votes }) => (votes ? 'yes' : 'no') },
  { title: 'ROLE', value: ({ role }) => role },
  { title: 'TERM', value: ({ term }) => term ?? '-' },
  { title: 'ENTRIES', value: ({ lastIndex }) => lastIndex ?? '-' },
  { title: 'COMMITTED', value: ({ commit }) => commit ?? '-' },
]

function printMembers(io: Io, format: Format, members: ControlMembersResponse): void {
  printOne(io, format, members, {
    name: members.leader ?? '',
    describe: () => formatTable(members.members, COLUMNS),
  })
}

const CHANGES: Readonly<Record<ChangeMembersRequest['change'], { readonly does: string; readonly example: string }>> = {
  add: { does: "make a node a learner of control's log, before it may vote", example: 'add n4' },
  promote: { does: 'make a learner that has caught up a voter', example: 'promote n4' },
  remove: { does: "remove a node from the members of control's log", example: 'remove n1' },
}

/** `cluster membership add|promote|remove`: members of control's log, one change at a time. */
export function clusterMembership(verb: Verb): Command {
  const command = new Command('membership').description("members of control's log: add, promote or remove a node")
  addClusterOptions(command)
  for (const [change, about] of Object.entries(CHANGES))
    command.addCommand(memberChange(verb, change as ChangeMembersRequest['change'], about))
  return command
}

function memberChange(
  { io }: Verb,
  change: ChangeMembersRequest['change'],
  { does, example }: { readonly does: string; readonly example: string },
): Command {
  const command = new Command(change).description(does).argument('<node>', 'name of the node, or id of its store')
  addClusterOptions(command)
  examples(command, [`ashlar cluster membership ${example}`])
  return command.action(async (node: string) => {
    const { api, format } = sessionOf(io, command)
    printMembers(io, format, await api.changeMembers({ change, node }))
  })
}

/** `cluster leader show|transfer`. */
export function clusterLeader(verb: Verb): Command {
  const command = new Command('leader').description('the leader of control')
  addClusterOptions(command)
  return command.addCommand(leaderShow(verb)).addCommand(leaderTransfer(verb))
}

function leaderShow({ io }: Verb): Command {
  const command = new Command('show').description("members of control's log and their leader")
  addClusterOptions(command)
  examples(command, ['ashlar cluster leader show', 'ashlar cluster leader show -o json'])
  return command.action(async () => {
    const { api, format } = sessionOf(io, command)
    printMembers(io, format, await api.controlMembers())
  })
}

function leaderTransfer({ io }: Verb): Command {
  const command = new Command('transfer')
    .description('transfer leadership of control to another voter')
    .argument('<node>', 'name of the node, or id of its store')
  addClusterOptions(command)
  examples(command, ['ashlar cluster leader transfer n2'])
  return command.action(async (node: string) => {
    const { api, format } = sessionOf(io, command)
    printMembers(io, format, await api.transferLeadership(node))
  })
}
