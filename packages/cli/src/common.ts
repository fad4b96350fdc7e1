import { type OptionSpec, type OptionTable, parseList } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { type Command, Option } from 'commander'
import { ApiClient } from './api-client.ts'
import { serversOf } from './dev/servers.ts'
import type { Io } from './io.ts'
import { type Format, parseFormat } from './output.ts'
import { Servers } from './servers.ts'

/** What a command is given beside its own arguments. */
export interface Session {
  readonly io: Io
  readonly api: ApiClient
  readonly format: Format
}

/** Options that every command takes, after its name or before it. */
export function addCommonOptions(command: Command): Command {
  return command
    .option('--server <url>', 'API of a node, or of several with commas: one that is ready is preferred')
    .option('-o, --output <format>', 'table, wide, json, yaml or name')
}

/** Options of a command that uses the API of a cluster. */
export function addClusterOptions(command: Command): Command {
  return addCommonOptions(command).option('--data-dir <DIR>', 'data directory of ashlar dev, which names its nodes')
}

/** The common options of a command, completed by the environment and the defaults. */
export function sessionOf(io: Io, command: Command): Session {
  const options = mergedOptions(command)
  const servers = parseList(String(options['server'] ?? io.environment['ASHLAR_SERVER'] ?? '')).map(parseServer)
  const dataDir = options['dataDir'] === undefined ? undefined : String(options['dataDir'])
  return {
    io,
    api: new ApiClient(new Servers(serversOf(servers, dataDir))),
    format: parseFormat(String(options['output'] ?? 'table')),
  }
}

/** Options of a command and of its parents; those nearer to the command take precedence. */
export function mergedOptions(command: Command): Record<string, unknown> {
  const merged: Record<string, unknown> = {}
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const [key, value] of Object.entries(at.opts())) merged[key] ??= value
  }
  return merged
}

function parseServer(text: string): string {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url.origin
  throw new AshlarError('USAGE', `--server: "${text}" is not an address`, { hint: 'write http://HOST:PORT' })
}

/** Adds a flag for each option of a table; the loader of options reads their values. */
export function addTableOptions(command: Command, table: OptionTable): Command {
  for (const spec of Object.values(table)) command.addOption(tableOption(spec))
  return command
}

function tableOption(spec: OptionSpec<unknown>): Option {
  const flags = spec.placeholder === undefined ? `--${spec.name}` : `--${spec.name} <${spec.placeholder}>`
  const fallback = spec.defaultText ?? (spec.default === undefined ? undefined : spec.print(spec.default))
  const shownDefault = spec.placeholder === undefined || fallback === undefined ? '' : ` (default: ${fallback})`
  const option = new Option(flags, `${spec.meaning}${shownDefault}`)
  if (spec.list === true) option.argParser((value: string, before: readonly string[] = []) => [...before, value])
  return option
}

/** Flags of a command by option name, as the loader of options takes them. */
export function tableFlags(
  command: Command,
  table: OptionTable,
): Record<string, string | boolean | readonly string[] | undefined> {
  const options = mergedOptions(command)
  return Object.fromEntries(
    Object.values(table).map(({ name }) => [
      name,
      options[camelCase(name)] as string | boolean | readonly string[] | undefined,
    ]),
  )
}

/** How commander names the value of a flag. */
function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

/** Examples at the end of a command's help. */
export function examples(command: Command, lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}\n`).join('')}`)
}
