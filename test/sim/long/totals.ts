import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Violation } from '../checkers/report.ts'
import type { Outcome } from '../simulator.ts'

/** What one seed adds; a line of JSON between two processes. */
export interface SeedResult {
  readonly seed: number
  readonly virtualMs: number
  readonly calls: number
  readonly acknowledgements: number
  readonly changesOfPrimary: number
  readonly faults: Readonly<Record<string, number>>
  readonly violations: readonly Violation[]
}

/** Seeds in a row that ran at one commit. */
export interface Stretch {
  readonly family: string
  /** As git names it, with `-dirty` where something was not committed. */
  readonly commit: string
  readonly first: number
  seeds: number
  virtualHours: number
  calls: number
  acknowledgements: number
  changesOfPrimary: number
  /** How often each fault was done. */
  faults: Record<string, number>
  readonly violations: { readonly seed: number; readonly rule: string; readonly text: string }[]
}

export function resultOf(outcome: Outcome): SeedResult {
  const { seed, virtualMs, calls, acknowledgements, activations, faults, violations } = outcome
  return {
    seed,
    virtualMs,
    calls,
    acknowledgements,
    changesOfPrimary: activations,
    faults: Object.fromEntries(faults),
    violations,
  }
}

/** A file with the sums of long runs. It is written as a whole, so that it can be read at any time. */
export class Totals {
  private readonly file: string
  readonly stretches: Stretch[]

  /** Throws when the file is there and holds something else. */
  constructor(file: string) {
    this.file = file
    this.stretches = existsSync(file) ? readStretches(file) : []
  }

  /** The first seed from `first` on that did not run in this family, at whatever commit. */
  nextSeed(family: string, first: number): number {
    let next = first
    const own = this.stretches.filter((stretch) => stretch.family === family).sort((a, b) => a.first - b.first)
    for (const { first: from, seeds } of own) if (from <= next && next < from + seeds) next = from + seeds
    return next
  }

  /** Adds the result of the next seed: to the stretch that it follows, if that ran at the same commit. */
  add(family: string, commit: string, result: SeedResult): void {
    const { seed } = result
    const fits = (it: Stretch): boolean => it.family === family && it.commit === commit && it.first + it.seeds === seed
    let stretch = this.stretches.find(fits)
    if (stretch === undefined) {
      stretch = emptyStretch(family, commit, seed)
      this.stretches.push(stretch)
    }
    stretch.seeds++
    stretch.virtualHours += result.virtualMs / 3_600_000
    stretch.calls += result.calls
    stretch.acknowledgements += result.acknowledgements
    stretch.changesOfPrimary += result.changesOfPrimary
    for (const [name, times] of Object.entries(result.faults))
      stretch.faults[name] = (stretch.faults[name] ?? 0) + times
    for (const { rule, text } of result.violations) stretch.violations.push({ seed, rule, text: text.slice(0, 500) })
  }

  save(): void {
    const temporary = `${this.file}.new`
    writeFileSync(temporary, `${JSON.stringify({ stretches: this.stretches }, undefined, 2)}\n`)
    renameSync(temporary, this.file)
  }

  /** The sums of one family, one line each. */
  describe(family: string): string {
    const own = this.stretches.filter((stretch) => stretch.family === family)
    const sum = (of: (stretch: Stretch) => number): number => own.reduce((all, stretch) => all + of(stretch), 0)
    const faults = new Map<string, number>()
    for (const stretch of own)
      for (const [name, times] of Object.entries(stretch.faults)) faults.set(name, (faults.get(name) ?? 0) + times)
    const kinds = [...faults].sort(([, a], [, b]) => b - a).map(([name, times]) => `${name} ${times}`)
    const failed = own.flatMap(({ violations, commit }) =>
      violations.map(({ seed, rule }) => `${seed} ${rule} ${commit}`),
    )
    return [
      `family ${family}: ${sum((it) => it.seeds)} seeds, ${sum((it) => it.virtualHours).toFixed(1)} virtual hours`,
      `${sum((it) => it.acknowledgements)} acknowledged operations, ${sum((it) => it.changesOfPrimary)} changes of primary`,
      `${[...faults.values()].reduce((all, times) => all + times, 0)} faults: ${kinds.join(', ')}`,
      `${failed.length} violations${failed.length > 0 ? `: seed ${failed.join('; seed ')}` : ''}`,
      `at ${[...new Set(own.map(({ commit }) => commit))].join(', ')}`,
    ].join('\n')
  }
}

function emptyStretch(family: string, commit: string, first: number): Stretch {
  const counts = { seeds: 0, virtualHours: 0, calls: 0, acknowledgements: 0, changesOfPrimary: 0 }
  return { family, commit, first, ...counts, faults: {}, violations: [] }
}

function readStretches(file: string): Stretch[] {
  const found = JSON.parse(readFileSync(file, 'utf8')) as { readonly stretches?: Stretch[] }
  if (!Array.isArray(found.stretches)) throw new Error(`${file} holds no totals of the simulator: name another file`)
  return found.stretches
}
