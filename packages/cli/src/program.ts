import { VERSION } from '@ashlar/node/config'
import { Command, Help } from 'commander'
import { clusterCheck } from './commands/cluster-check.ts'
import { clusterLeader, clusterMembership } from './commands/cluster-control.ts'
import { clusterInfo } from './commands/cluster-info.ts'
import { clusterRecover } from './commands/cluster-recover.ts'
import { clusterWait } from './commands/cluster-wait.ts'
import { dev } from './commands/dev.ts'
import { explain } from './commands/explain.ts'
import { extentForcePrimary } from './commands/extent-force-primary.ts'
import { extentLs } from './commands/extent-ls.ts'
import { gatewayLs } from './commands/gateway-ls.ts'
import { gatewayRun } from './commands/gateway-run.ts'
import { nodeDescribe } from './commands/node-describe.ts'
import { nodeLost } from './commands/node-lost.ts'
import { nodeLs } from './commands/node-ls.ts'
import { nodeScrub } from './commands/node-scrub.ts'
import { replicaExport } from './commands/replica-export.ts'
import { serverRun } from './commands/server-run.ts'
import { volumeAcknowledgeLoss } from './commands/volume-acknowledge-loss.ts'
import { volumeCreate } from './commands/volume-create.ts'
import { volumeDescribe } from './commands/volume-describe.ts'
import { volumeDetach } from './commands/volume-detach.ts'
import { volumeExport } from './commands/volume-export.ts'
import { volumeImport } from './commands/volume-import.ts'
import { volumeLs } from './commands/volume-ls.ts'
import { volumeRm } from './commands/volume-rm.ts'
import { addCommonOptions, examples } from './common.ts'
import type { Io } from './io.ts'
import type { Verb } from './verb.ts'

type MakeCommand = (verb: Verb) => Command

interface Noun {
  readonly description: string
  readonly aliases: readonly string[]
  readonly verbs: readonly MakeCommand[]
}

const NOUNS: Readonly<Record<string, Noun>> = {
  cluster: {
    description: 'cluster health, and control',
    aliases: ['cl'],
    verbs: [clusterInfo, clusterCheck, clusterWait, clusterMembership, clusterLeader, clusterRecover],
  },
  node: {
    description: 'nodes and what they hold',
    aliases: ['no'],
    verbs: [nodeLs, nodeDescribe, nodeScrub, nodeLost],
  },
  volume: {
    description: 'virtual disks',
    aliases: ['v'],
    verbs: [
      ...[volumeCreate, volumeLs, volumeDescribe, volumeRm, volumeDetach],
      ...[volumeImport, volumeExport, volumeAcknowledgeLoss],
    ],
  },
  extent: { description: 'the slices that volumes are made of', aliases: ['e'], verbs: [extentLs, extentForcePrimary] },
  replica: { description: 'copies of extents on the disks of nodes', aliases: ['rep'], verbs: [replicaExport] },
  server: { description: 'storage nodes', aliases: [], verbs: [serverRun] },
  gateway: { description: 'volumes over NBD, and who holds them', aliases: ['gw'], verbs: [gatewayRun, gatewayLs] },
}

export function buildProgram(io: Io, exit: (code: number) => void): Command {
  const verb: Verb = { io, exit }
  const program = new Command('ashlar')
    .description('Ashlar: a distributed replicated block store. Virtual disks in LevelDB, copied to several nodes.')
    .version(VERSION, '--version')
    .enablePositionalOptions()
  addCommonOptions(program)
  examples(program, [
    'ashlar dev',
    'ashlar cluster info',
    'ashlar volume create disk --size 10Gi',
    'ashlar extent ls disk -o json',
  ])
  program.addCommand(dev(verb))
  for (const [name, noun] of Object.entries(NOUNS)) {
    const command = new Command(name).description(noun.description).aliases([...noun.aliases])
    addCommonOptions(command)
    for (const make of noun.verbs) command.addCommand(make(verb))
    program.addCommand(command)
  }
  program.addCommand(explain(verb))
  program.addHelpText('after', `Short names: ${shortNames()}\n`)
  settle(program, io)
  return program
}

function shortNames(): string {
  return Object.entries(NOUNS)
    .flatMap(([name, { aliases }]) => aliases.map((alias) => `${alias} for ${name}`))
    .join(', ')
}

/** Short names are listed once, not beside each command. */
const HELP = {
  subcommandTerm: (command: Command) => new Help().subcommandTerm(command).replace(ALIAS, ''),
  commandUsage: (command: Command) => new Help().commandUsage(command).replace(ALIAS, ''),
}
const ALIAS = /\|[a-z]+/

/** How every command behaves when it is misused: it throws, and main says it in one line. */
function settle(command: Command, io: Io): void {
  command.exitOverride()
  command.configureOutput({ writeOut: io.out, writeErr: io.error, outputError: () => undefined })
  command.showSuggestionAfterError(true)
  command.configureHelp(HELP)
  for (const child of command.commands) settle(child, io)
}
