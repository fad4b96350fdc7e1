import type { HeldVolumeResponse } from '@ashlar/node/config'
import { Command } from 'commander'
import { addCommonOptions, examples, sessionOf } from '../common.ts'
import { type Column, printList } from '../output.ts'
import type { Verb } from '../verb.ts'
import { lastHeard } from './holder-text.ts'

const COLUMNS: readonly Column<HeldVolumeResponse>[] = [
  { title: 'HOLDER', value: ({ client }) => client },
  { title: 'VOLUME', value: ({ volume }) => volume },
  { title: 'MODE', value: ({ mode }) => mode },
  { title: 'SINCE', value: ({ since }) => since ?? 'unknown' },
  { title: 'LAST HEARD', value: lastHeard },
  { title: 'THROUGH', value: ({ through }) => through ?? '-' },
  { title: 'SESSION', value: ({ session }) => session, wide: true },
  { title: 'OWNER', value: ({ owner }) => owner ?? '-', wide: true },
]

export function gatewayLs({ io }: Verb): Command {
  const command = new Command('ls').description(
    'gateways and other clients that hold volumes for writing: who, which volume, since when, when control last heard of it ' +
      'and through which node',
  )
  addCommonOptions(command)
  examples(command, ['ashlar gateway ls', 'ashlar gateway ls -o wide', 'ashlar gateway ls -o json'])
  return command.action(async () => {
    const { api, format } = sessionOf(io, command)
    const empty = 'no client holds a volume'
    printList(io, format, await api.holders(), { columns: COLUMNS, name: ({ client }) => client, empty })
  })
}
