import type { ForceReport } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

interface ForceFlags {
  readonly node: string
  readonly acceptDataLoss?: true
}

export function extentForcePrimary({ io }: Verb): Command {
  const command = new Command('force-primary')
    .description('make a node primary of an extent that has no primary: acknowledged writes may be permanently lost')
    .argument('<extent>', 'VOLUME/NUMBER, such as demo/0')
    .requiredOption('--node <node>', 'node, or id of its store, whose replica becomes primary')
    .option('--accept-data-loss', 'do it; without this it only reports what may be lost')
  addClusterOptions(command)
  examples(command, [
    'ashlar extent force-primary demo/0 --node n3',
    'ashlar extent force-primary demo/0 --node n3 --accept-data-loss',
  ])
  return command.action(async (extent: string, { node, acceptDataLoss }: ForceFlags) => {
    const { api, format } = sessionOf(io, command)
    const { volume, number } = parseExtent(extent)
    if (acceptDataLoss !== true) {
      const report = await api.forceReport(volume, number, node)
      printOne(io, format, report, { name: extent, describe: () => describeReport(report) })
      throw new AshlarError('CONFLICT', `extent ${extent} was not changed`, {
        hint: report.possible ? 'add --accept-data-loss to do it' : report.because.join('; '),
      })
    }
    const after = await api.forcePrimary(volume, number, { node, acceptDataLoss: true })
    printOne(io, format, after, {
      name: extent,
      describe: () =>
        `${after.primary} is primary of extent ${extent} in epoch ${after.epoch}. Volume ${volume} shows a warning until ` +
        `"ashlar volume acknowledge-loss ${volume}".\n`,
    })
  })
}

/** VOLUME/NUMBER. Throws USAGE. */
export function parseExtent(text: string): { volume: string; number: number } {
  const [, volume, number] = /^(.+)\/(\d{1,7})$/.exec(text) ?? []
  if (volume !== undefined && number !== undefined) return { volume, number: Number(number) }
  throw new AshlarError('USAGE', `"${text}" is not an extent`, { hint: 'write VOLUME/NUMBER, such as demo/0' })
}

function describeReport({ extent, because, mayBeLost, replica, others }: ForceReport): string {
  return formatFields([
    ['Extent', extent],
    ['Because', because],
    ['May be lost', mayBeLost.length === 0 ? 'nothing: it will be refused' : mayBeLost],
    ['Would be primary', describeHeld(replica)],
    ['Others', others.length === 0 ? 'none' : others.map(describeHeld)],
  ])
}

function describeHeld({ node, state, lastEpoch, lastSeq, commitSeq }: ForceReport['replica']): string {
  if (lastSeq === null) return `${node} (${state}): did not respond`
  return `${node} (${state}): last write epoch ${lastEpoch}, seq ${lastSeq}; acknowledged up to seq ${commitSeq}, as far as it knows`
}
