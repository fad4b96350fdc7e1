import type { ExplanationResponse } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { Argument, Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

export function explain({ io }: Verb): Command {
  const command = new Command('explain')
    .description('why something is in its state, what is wrong, what it waits for, and what to do')
    .addArgument(new Argument('<kind>', 'kind of thing').choices(['cluster', 'volume', 'extent', 'node']))
    .argument('[name]', 'its name; VOLUME/NUMBER for an extent; none for the cluster')
  addClusterOptions(command)
  examples(command, [
    'ashlar explain cluster',
    'ashlar explain volume demo',
    'ashlar explain extent demo/0',
    'ashlar explain node n2',
  ])
  return command.action(async (kind: ExplanationResponse['kind'], name: string | undefined) => {
    if ((kind === 'cluster') !== (name === undefined)) {
      const usage = kind === 'cluster' ? 'explain cluster takes no name' : `explain ${kind} needs the name of a ${kind}`
      throw new AshlarError('USAGE', usage)
    }
    const { api, format } = sessionOf(io, command)
    const explanation = await api.explain(kind, name)
    printOne(io, format, explanation, { name: explanation.name, describe: () => describe(explanation) })
  })
}

/** A node of an older build reports no problems apart from what it waits for. */
function describe({ kind, name, state, problems = [], because, waitsFor, todo }: ExplanationResponse): string {
  return formatFields([
    [kind[0]?.toUpperCase() + kind.slice(1), `${name} is ${state}`],
    ...(problems.length === 0 ? [] : [['Problem', problems] as const]),
    ['Because', because.length === 0 ? '-' : because],
    ...(waitsFor.length === 0 ? [] : [['Waits for', waitsFor] as const]),
    ['To do', todo.length === 0 ? 'nothing' : todo],
  ])
}
