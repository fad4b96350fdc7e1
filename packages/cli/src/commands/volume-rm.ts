import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import type { Verb } from '../verb.ts'

export function volumeRm({ io }: Verb): Command {
  const command = new Command('rm')
    .description('permanently remove volumes and their data; refused while a client has one open')
    .argument('<names...>', 'names of the volumes')
  addClusterOptions(command)
  examples(command, ['ashlar volume rm scratch'])
  return command.action(async (names: readonly string[]) => {
    const { api } = sessionOf(io, command)
    for (const name of names) {
      await api.removeVolume(name)
      io.error(`volume ${name} is removed\n`)
    }
  })
}
