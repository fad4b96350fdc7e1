/** Fields that every line has, or that stand elsewhere in the readable line. */
const PLACED = new Set(['level', 'time', 'node', 'pid', 'module', 'err', 'storeName', 'volume', 'extentIndex'])
/** What pino calls the event of a line. */
const EVENT_FIELD = /^msg$/
const STORE_ID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g
/** Names of events are words with hyphens: `store-expired`. */
const EVENT = /^[a-z0-9]+(?:-[a-z0-9]+)+(?=$|:)/

/**
 * A line of a process's log for people: `2026-11-30 23:46:58.610Z info  raft leader  term=2`. A line that is not one of ours, such
 * as the message of a process that does not start, stays as it is. `nodeNames`: names of nodes by the ids of their stores.
 */
export function readableLine(line: string, nodeNames: ReadonlyMap<string, string> = new Map()): string {
  const entry = parseEntry(line)
  if (entry === undefined) return line
  const { time, level, module } = entry
  const [, written = ''] = Object.entries(entry).find(([name]) => EVENT_FIELD.test(name)) ?? []
  const event = String(written).replace(EVENT, (name) => name.replaceAll('-', ' '))
  const head = `${String(time).replace('T', ' ')} ${String(level).padEnd(5)} ${module === undefined ? '' : `${module}: `}${event}`
  const named = (text: string): string => text.replace(STORE_ID, (id) => nodeNames.get(id) ?? id)
  return [head, ...fieldsOf(entry)].map(named).join('  ').trimEnd() + named(stackOf(entry))
}

type Entry = Readonly<Record<string, unknown>>

function parseEntry(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const entry = JSON.parse(line) as Entry
    return typeof entry['time'] === 'string' && typeof entry['level'] === 'string' ? entry : undefined
  } catch {
    return undefined
  }
}

/** All fields as one text, `name=value` each; those of nested objects by their path. */
function fieldsOf(entry: Entry): string[] {
  const { store, storeName, extent, volume, extentIndex, err } = entry
  const fields = Object.entries({
    ...entry,
    ...(storeName === undefined || store === undefined ? {} : { store: storeName }),
    ...(volume === undefined || extent === undefined ? {} : { extent: `${volume}/${extentIndex}` }),
  }).filter(([name]) => !PLACED.has(name) && !EVENT_FIELD.test(name))
  const error = (err as { message?: unknown } | undefined)?.message
  const shown = [
    ...fields.flatMap(([name, value]) => flat(name, value)),
    ...(error === undefined ? [] : flat('error', error)),
  ]
  return shown.length === 0 ? [] : [shown.join(' ')]
}

function flat(name: string, value: unknown): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object'))
    return [`${name}=${quoted(value.join(','))}`]
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([inner, of]) => flat(`${name}.${inner}`, of))
  }
  if (typeof value === 'number' && !Number.isInteger(value)) return [`${name}=${Number(value.toFixed(3))}`]
  return [`${name}=${quoted(String(value))}`]
}

function quoted(text: string): string {
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)
}

/** The stack of an error, on lines of its own. */
function stackOf({ err }: Entry): string {
  const stack = (err as { stack?: unknown } | undefined)?.stack
  if (typeof stack !== 'string') return ''
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line))
  return frames.map((line) => `\n    ${line.trim()}`).join('')
}
