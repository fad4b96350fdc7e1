import { formatBytes, type ScrubResponse } from '@ashlar/node/config'
import { AshlarError, counted } from '@ashlar/proto'
import { Command } from 'commander'
import { ApiClient } from '../api-client.ts'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

interface ScrubFlags {
  readonly start?: true
  readonly pause?: true
  readonly resume?: true
}

export function nodeScrub({ io }: Verb): Command {
  const command = new Command('scrub')
    .description('progress of the scrub of a node, which reads and verifies everything it holds')
    .argument('<id>', 'name of the node, or id of its store')
    .option('--start', 'begin a pass now')
    .option('--pause', 'stop reading until --resume, also across restarts')
    .option('--resume', 'resume after --pause')
  addClusterOptions(command)
  examples(command, ['ashlar node scrub n1', 'ashlar node scrub n1 --start', 'ashlar node scrub n1 --pause'])
  return command.action(async (id: string, flags: ScrubFlags) => {
    const { api, format } = sessionOf(io, command)
    const given = (['start', 'pause', 'resume'] as const).filter((word) => flags[word] === true)
    if (given.length > 1) throw new AshlarError('USAGE', `--${given.join(' and --')} exclude each other`)
    const [request] = given
    const node = await api.node(id)
    // A scrub belongs to its node: no other node knows its state.
    const its = new ApiClient([{ node: node.id, url: `http://${node.api}` }])
    const scrub = await (request === undefined ? its.scrub() : its.commandScrub({ do: request }))
    printOne(io, format, scrub, { name: scrub.state, describe: () => describeScrub(node.id, scrub) })
  })
}

function describeScrub(
  id: string,
  { state, bytesPerSecond, position, current, last, reasonToLeave }: ScrubResponse,
): string {
  return formatFields([
    ['Node', id],
    ['Scrub', state],
    ['Rate', bytesPerSecond === 0 ? 'none' : `${formatBytes(bytesPerSecond)} a second`],
    [
      'Pass',
      current === null ? 'none' : `${Math.floor(position * 100)} % since ${current.startedAt}: ${found(current)}`,
    ],
    ['Last pass', last === null ? 'none' : `from ${last.startedAt} to ${last.endedAt}: ${found(last)}`],
    ...(reasonToLeave === null ? [] : [['Suspect', reasonToLeave] as const]),
  ])
}

function found({ blocks, bytes, damagedBlocks, lostLeaves }: NonNullable<ScrubResponse['last']>): string {
  const lost = lostLeaves === 0 ? '' : `, versions lost in ${counted(lostLeaves, 'run')} of 256 blocks`
  return `${counted(blocks, 'block')} and ${formatBytes(bytes)} read, ${counted(damagedBlocks, 'block')} damaged${lost}`
}
