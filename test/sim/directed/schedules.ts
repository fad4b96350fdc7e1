import type { Violation } from '../checkers/report.ts'

/**
 * Schedules that random seeds meet too rarely, each named after its hazard (protocol A2.16). A schedule runs one cluster
 * through exactly that misfortune and returns what the checkers found: nothing, unless a rule is broken.
 */
export const SCHEDULES: ReadonlyMap<string, () => readonly Violation[]> = new Map()
