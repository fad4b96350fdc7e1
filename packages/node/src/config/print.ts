import { describeSource, type LoadedOptions } from './load.ts'
import type { OptionTable } from './table.ts'

/**
 * What `--print-config` prints: each option with its value and where it came from, as YAML that `--config` reads back.
 * Options without a value and without a default are printed as comments.
 */
export function printOptions<Table extends OptionTable>(table: Table, loaded: LoadedOptions<Table>): string {
  const rows = Object.entries(table).map(([key, spec]) => {
    const value = loaded.values[key]
    const source = describeSource(loaded.sources[key] ?? { from: 'default' })
    if (value === undefined) return [`# ${spec.name}:`, spec.defaultText ?? source] as const
    return [`${spec.name}: ${JSON.stringify(spec.print(value))}`, source] as const
  })
  const width = Math.max(...rows.map(([line]) => line.length))
  return rows.map(([line, source]) => `${line.padEnd(width)}  # ${source}\n`).join('')
}
