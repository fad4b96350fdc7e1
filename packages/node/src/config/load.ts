import { AshlarError } from '@ashlar/proto'
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import { environmentName, type OptionSpec, type OptionTable, type OptionValues } from './table.ts'

/** Where a value came from, for `--print-config` and for errors. */
export type OptionSource =
  | { readonly from: 'default' }
  | { readonly from: 'file'; readonly path: string; readonly line: number }
  | { readonly from: 'environment'; readonly variable: string }
  | { readonly from: 'flag'; readonly flag: string }

export interface OptionInputs {
  /** Values of flags by option name (`data-dir`), as the command line gave them; absent ones are undefined. */
  readonly flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Text of the configuration file; `path` is only for messages. */
  readonly file?: { readonly path: string; readonly text: string }
}

export interface LoadedOptions<Table extends OptionTable> {
  readonly values: OptionValues<Table>
  readonly sources: { readonly [Key in keyof Table]: OptionSource }
}

interface Given {
  readonly text: string
  readonly source: OptionSource
}

/**
 * Merges the values of a table: defaults, then the file, then the environment, then flags; the later wins. Throws USAGE with
 * the option and the place of the bad value.
 */
export function loadOptions<Table extends OptionTable>(table: Table, inputs: OptionInputs): LoadedOptions<Table> {
  const fromFile = inputs.file === undefined ? new Map<string, Given>() : readFile(table, inputs.file)
  const values: Record<string, unknown> = {}
  const sources: Record<string, OptionSource> = {}
  for (const [key, spec] of Object.entries(table)) {
    const given =
      fromFlag(spec, inputs.flags[spec.name]) ?? fromEnvironment(spec, inputs.environment) ?? fromFile.get(spec.name)
    if (given === undefined && spec.default === undefined && spec.optional !== true) {
      throw new AshlarError('USAGE', `--${spec.name} is missing`, {
        hint: `give --${spec.name} ${spec.placeholder ?? ''}, or set ${environmentName(spec)}`,
      })
    }
    values[key] = given === undefined ? spec.default : parseGiven(spec, given)
    sources[key] = given?.source ?? { from: 'default' }
  }
  return { values: values as OptionValues<Table>, sources: sources as LoadedOptions<Table>['sources'] }
}

/** The place of a value in the words of an operator: FILE:LINE, a variable or a flag. */
export function describeSource(source: OptionSource): string {
  switch (source.from) {
    case 'default':
      return 'default'
    case 'file':
      return `${source.path}:${source.line}`
    case 'environment':
      return source.variable
    case 'flag':
      return source.flag
  }
}

function parseGiven(spec: OptionSpec<unknown>, given: Given): unknown {
  try {
    return spec.parse(given.text)
  } catch (error) {
    if (!(error instanceof AshlarError)) throw error
    const { source } = given
    // The place of a flag or variable contains the option's name; that of a file does not.
    const where = source.from === 'file' ? `${describeSource(source)}: ${spec.name}` : describeSource(source)
    throw new AshlarError('USAGE', `${where}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint })
  }
}

function fromFlag(spec: OptionSpec<unknown>, value: OptionInputs['flags'][string]): Given | undefined {
  if (value === undefined) return undefined
  const text = typeof value === 'object' ? value.join(',') : String(value)
  return { text, source: { from: 'flag', flag: `--${spec.name}` } }
}

function fromEnvironment(spec: OptionSpec<unknown>, environment: OptionInputs['environment']): Given | undefined {
  const variable = environmentName(spec)
  const text = environment[variable]
  // An empty variable is how compose files and shells say "not set".
  return text === undefined || text === '' ? undefined : { text, source: { from: 'environment', variable } }
}

function readFile(table: OptionTable, file: { readonly path: string; readonly text: string }): Map<string, Given> {
  const lines = new LineCounter()
  const document = parseDocument(file.text, { lineCounter: lines })
  const lineAt = (offset: number | undefined) => lines.linePos(offset ?? 0).line
  const refuse = (offset: number | undefined, problem: string, hint?: string): never => {
    throw new AshlarError('USAGE', `${file.path}:${lineAt(offset)}: ${problem}`, hint === undefined ? {} : { hint })
  }
  const failure = document.errors[0]
  if (failure !== undefined) refuse(failure.pos[0], failure.message.split('\n')[0] ?? 'this is not YAML')
  const given = new Map<string, Given>()
  if (document.contents === null) return given
  if (!isMap(document.contents)) return refuse(0, 'the file must hold options as "name: value" lines')
  const names = Object.values(table).map((spec) => spec.name)
  for (const { key, value } of document.contents.items) {
    const offset = isScalar(key) ? key.range?.[0] : undefined
    const name = isScalar(key) ? String(key.value) : ''
    if (!names.includes(name)) refuse(offset, `there is no option "${name}"`, `options are ${names.join(', ')}`)
    const text = textOf(value)
    if (text === undefined) refuse(offset, `${name}: the value must be one value, a list, or keys with values`)
    else given.set(name, { text, source: { from: 'file', path: file.path, line: lineAt(offset) } })
  }
  return given
}

/** A YAML value as a flag would write it: a list with commas, a mapping as KEY=VALUE pairs. */
function textOf(node: unknown): string | undefined {
  if (isSeq(node)) return joinAll(node.items.map(scalarText))
  if (!isMap(node)) return scalarText(node)
  return joinAll(
    node.items.map(({ key, value }) => {
      const text = scalarText(value)
      return text === undefined ? undefined : `${scalarText(key)}=${text}`
    }),
  )
}

function scalarText(node: unknown): string | undefined {
  return isScalar(node) ? (node.source ?? String(node.value)) : undefined
}

function joinAll(parts: readonly (string | undefined)[]): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join(',')
}
