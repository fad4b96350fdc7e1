import { counted } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import type { Verb } from '../verb.ts'

export function volumeAcknowledgeLoss({ io }: Verb): Command {
  const command = new Command('acknowledge-loss')
    .description('end the warning on a volume whose extents had primaries forced; lost writes stay lost')
    .argument('<name>', 'name of the volume')
  addClusterOptions(command)
  examples(command, ['ashlar volume acknowledge-loss demo'])
  return command.action(async (name: string) => {
    const { api } = sessionOf(io, command)
    const { forced } = await api.acknowledgeLoss(name)
    io.error(`volume ${name}: ${counted(forced.length, 'forced promotion is', 'forced promotions are')} acknowledged\n`)
  })
}
