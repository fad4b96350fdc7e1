import { readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { lastMarkPath } from './last-mark.ts'
import { termMarkPath } from './term-mark.ts'

/** Names of the logs that `cluster recover` set aside begin with this. */
function beginningOf(control: string): string {
  return `${control}.before-generation-`
}

/** Where the log in `control` is set aside when a generation begins; `attempt` counts from 1 while the name is taken. */
export function earlierLogPath(control: string, generation: number, attempt: number): string {
  return `${beginningOf(control)}${generation}${attempt === 1 ? '' : `-${attempt}`}`
}

/** How many logs were set aside before the one in `control`. */
export async function countEarlierLogs(control: string): Promise<number> {
  const names = await readdir(dirname(control)).catch(() => [])
  const beginning = basename(beginningOf(control))
  const marks = [termMarkPath(''), lastMarkPath('')]
  return names.filter((name) => name.startsWith(beginning) && !marks.some((mark) => name.endsWith(mark))).length
}
