import { buildProgram } from '../../packages/cli/src/program.ts'
import { page } from './page.ts'

type Command = ReturnType<typeof buildProgram>

const WIDTH = 110

/** Every command's `--help`, as it is printed on a terminal of this width. */
export function cliPage(): string {
  let printed = ''
  const print = (text: string): void => {
    printed += text
  }
  const io = { out: print, error: print, environment: {}, isTerminal: false }
  const sections = commands(
    buildProgram(io, () => undefined),
    'ashlar',
  ).map(({ words, command }) => {
    printed = ''
    command.configureOutput({ getOutHelpWidth: () => WIDTH, getOutHasColors: () => false }).outputHelp()
    return `## ${words}\n\n\`\`\`\n${printed.trim()}\n\`\`\``
  })
  return page('The command line', [
    'What `--help` prints. Exit codes: [errors.md](errors.md). Options of `server run` and `gateway run` with what they cost: [options.md](options.md).',
    ...sections,
  ])
}

/** The command and all below it; nouns alone do nothing and are left out. */
function commands(command: Command, words: string): { words: string; command: Command }[] {
  const children = command.commands.filter((child) => child.name() !== 'help')
  const isNoun = children.length > 0 && words !== 'ashlar' && !command.options.some(isOwnOption)
  return [
    ...(isNoun ? [] : [{ words, command }]),
    ...children.flatMap((child) => commands(child, `${words} ${child.name()}`)),
  ]
}

/** Every command takes the address of the API and the format. */
function isOwnOption({ long }: { readonly long?: string | undefined }): boolean {
  return long !== '--server' && long !== '--output'
}
