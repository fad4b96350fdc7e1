import { AshlarError } from '@ashlar/proto'
import { stringify } from 'yaml'
import type { Io } from './io.ts'

const FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const
export type Format = (typeof FORMATS)[number]

/** One column of a table: what stands above it and how a row fills it. */
export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string | number
  /** Shown by `-o wide` only. */
  readonly wide?: boolean
}

export interface Listing<Row> {
  readonly columns: readonly Column<Row>[]
  /** What `-o name` prints for a row. */
  readonly name: (row: Row) => string
  /** Said on standard error instead of an empty table. */
  readonly empty: string
}

export function parseFormat(text: string): Format {
  const format = FORMATS.find((candidate) => candidate === text)
  if (format !== undefined) return format
  throw new AshlarError('USAGE', `-o: "${text}" is none of ${FORMATS.join(', ')}`)
}

/** Prints rows in the format that was asked for. JSON and YAML hold them whole, as the API gave them. */
export function printList<Row>(io: Io, format: Format, rows: readonly Row[], listing: Listing<Row>): void {
  if (format === 'json' || format === 'yaml') return printData(io, format, rows)
  if (format === 'name') return io.out(rows.map((row) => `${listing.name(row)}\n`).join(''))
  if (rows.length === 0) return io.error(`${listing.empty}\n`)
  io.out(
    formatTable(
      rows,
      listing.columns.filter((column) => format === 'wide' || column.wide !== true),
    ),
  )
}

/** Prints one thing: whole for programs, as `describe` says it for people. */
export function printOne<Thing>(
  io: Io,
  format: Format,
  thing: Thing,
  people: { readonly name: string; readonly describe: () => string },
): void {
  if (format === 'json' || format === 'yaml') return printData(io, format, thing)
  io.out(format === 'name' ? `${people.name}\n` : people.describe())
}

/** JSON is one line, so that a script may read it as one. */
function printData(io: Io, format: 'json' | 'yaml', data: unknown): void {
  io.out(format === 'json' ? `${JSON.stringify(data)}\n` : stringify(data))
}

/** Columns without borders, as wide as their widest cell, two blanks apart. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const lines = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ value }) => String(value(row)))),
  ]
  return layOut(lines, '')
}

/** `Key:  value` lines, values one below the other; a value of several lines stays in its column. */
export function formatFields(
  fields: readonly (readonly [name: string, value: string | number | readonly string[]])[],
): string {
  return layOut(
    fields.flatMap(([name, value]) => {
      const [first = '', ...more] = Array.isArray(value) ? value : [String(value)]
      return [[`${name}:`, first], ...more.map((line) => ['', line])]
    }),
    '',
  )
}

/** Lines of cells, each column as wide as its widest cell. */
export function layOut(lines: readonly (readonly string[])[], indent: string): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((cells) => (cells[column] ?? '').length)))
  return lines
    .map((cells) => `${indent}${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('')
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Bytes for people, rounded to three digits: `1.23 GiB`. Programs read the exact number. */
export function aboutBytes(bytes: number): string {
  let unit = 0
  let value = bytes
  for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${UNITS[unit]}`
}
