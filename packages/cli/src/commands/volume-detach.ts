import type { DetachReport } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

interface DetachFlags {
  readonly session?: readonly string[]
  readonly all?: true
  readonly yes?: true
}

export function volumeDetach({ io }: Verb): Command {
  const command = new Command('detach')
    .description('end sessions that hold a volume, such as those of dead clients: they are fenced')
    .argument('<name>', 'name of the volume')
    .option('--session <id...>', 'session to end, as listed by "ashlar volume describe"')
    .option('--all', 'every session that holds the volume now')
    .option('-y, --yes', 'do it; without this it only reports what it would fence')
  addClusterOptions(command)
  examples(command, [
    'ashlar volume detach demo --all',
    'ashlar volume detach demo --session 4711 --yes',
    'ashlar volume detach demo --all --yes',
  ])
  return command.action(async (name: string, flags: DetachFlags) => {
    const { api, format } = sessionOf(io, command)
    const report = await api.detachReport(name, sessionsOf(flags))
    if (flags.yes !== true) {
      printOne(io, format, report, { name, describe: () => describeReport(report) })
      throw new AshlarError('CONFLICT', `volume ${name} was not changed`, {
        hint: report.possible ? 'add --yes to do it' : report.consequences.join('; '),
      })
    }
    if (report.sessions.length === 0) return io.error(`no session holds volume ${name}\n`)
    const sessions = report.sessions.map(({ session }) => session)
    const after = await api.detach(name, sessions)
    printOne(io, format, after, {
      name,
      describe: () => describeEnd(after),
    })
  })
}

/** Undefined: all of them. Throws USAGE. */
function sessionsOf({ session, all }: DetachFlags): number[] | undefined {
  if ((session === undefined) === (all === undefined))
    throw new AshlarError('USAGE', 'no sessions were given', { hint: 'give either --session ID or --all' })
  return session?.map((text) => {
    if (/^[1-9]\d{0,15}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
    throw new AshlarError('USAGE', `"${text}" is not a session`, { hint: 'see `ashlar volume describe`' })
  })
}

function describeReport({ volume, sessions, consequences }: DetachReport): string {
  return formatFields([
    ['Volume', volume],
    ['Would be fenced', sessions.length === 0 ? 'no session' : sessions.map(describeSession)],
    ['Consequences', consequences],
  ])
}

function describeEnd({ sessions, alreadyEnded = [] }: DetachReport): string {
  const ended = [
    ...sessions.map(describeSession),
    ...alreadyEnded.map((session) => `session ${session}, which had ended already`),
  ]
  return `Fenced: ${ended.join('; ')}. None of their writes takes effect any more.\n`
}

function describeSession({ session, client, mode }: DetachReport['sessions'][number]): string {
  return `${client}, ${mode}, session ${session}`
}
