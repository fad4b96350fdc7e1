import type { LogEntry } from '../control/log/index.ts'

const OVERHEAD_BYTES = 24

/** About how many bytes an entry takes on the wire and on disk; never less than half of it. */
export function entryBytes(entry: LogEntry): number {
  return OVERHEAD_BYTES + valueBytes(entry.command)
}

function valueBytes(value: unknown): number {
  if (typeof value === 'string') return 5 + value.length
  if (typeof value !== 'object' || value === null) return 9
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + valueBytes(item), 5)
  return Object.entries(value).reduce((sum, [name, member]) => sum + 1 + name.length + valueBytes(member), 5)
}
