import { readFileSync } from 'node:fs'

/** Whether there is a process with this id that runs: one that ended and was not yet reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
