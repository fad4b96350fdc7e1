import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Violation } from '../checkers/report.ts'
import type { Outcome, RunOptions } from '../simulator.ts'

/** What one seed adds; a line of JSON between two processes. */
export interface SeedResult {
  readonly seed: number
  /** The family of this seed: `first`, `wide` or `full-disks`. */
  readonly family: string
  /** Of its events; zeroes of a seed that threw. */
  readonly hash: string
  readonly virtualMs: number
  readonly calls: number
  readonly acknowledgements: number
  readonly changesOfPrimary: number
  readonly faults: Readonly<Record<string, number>>
  readonly violations: readonly Violation[]
}

/** What seeds of one family come to. */
export interface Sums {
  seeds: number
  virtualHours: number
  calls: number
  acknowledgements: number
  changesOfPrimary: number
  /** How often each fault was done. */
  faults: Record<string, number>
  readonly violations: { readonly seed: number; readonly rule: string; readonly text: string }[]
}

/** What ran. */
export interface Build {
  /** As git names it, with `-dirty` where something was not committed. */
  readonly commit: string
  /** Of all files in the `src` of every package: equal at two commits that differ elsewhere. */
  readonly sources: string
}

/** Seeds in a row that ran at one commit. */
export interface Stretch extends Build {
  /** Of the range: that of its seeds, or `mix`. */
  readonly range: string
  readonly first: number
  seeds: number
  readonly families: Record<string, Sums>
}

/** What makes seeds others than those of the first family. */
interface Kinds {
  readonly fullDisks?: boolean | undefined
  readonly wide?: boolean | undefined
  readonly mix?: boolean | undefined
}

/** As the options of the command are called. */
export function kindsOf({ fullDisks, wide, mix }: Kinds): string[] {
  return [...(fullDisks ? ['full-disks'] : []), ...(wide ? ['wide'] : []), ...(mix ? ['mix'] : [])]
}

export function familyOf(kinds: Kinds): string {
  return kindsOf(kinds).join(' ') || 'first'
}

export function resultOf(outcome: Outcome): SeedResult {
  const { seed, options, hash, virtualMs, calls, acknowledgements, activations, faults, violations } = outcome
  return {
    seed,
    family: familyOf({ fullDisks: options.space !== undefined, wide: options.wide }),
    hash,
    virtualMs,
    calls,
    acknowledgements,
    changesOfPrimary: activations,
    faults: Object.fromEntries(faults),
    violations,
  }
}

/** Of a seed that threw, which is no way for a seed to end. */
export function thrownResult(seed: number, run: RunOptions, error: Error): SeedResult {
  const counts = { virtualMs: 0, calls: 0, acknowledgements: 0, changesOfPrimary: 0 }
  const violations = [{ at: 0, rule: 'thrown', text: error.stack ?? error.message }]
  return { seed, family: familyOf(run), hash: '0'.repeat(16), ...counts, faults: {}, violations }
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

  /** The first seed from `first` on that did not run in this range, at whatever commit. */
  nextSeed(range: string, first: number): number {
    let next = first
    const own = this.of(range).sort((a, b) => a.first - b.first)
    for (const { first: from, seeds } of own) if (from <= next && next < from + seeds) next = from + seeds
    return next
  }

  /** Adds the result of the next seed: to the stretch that it follows, if that ran at the same commit. */
  add(range: string, { commit, sources }: Build, result: SeedResult): void {
    const { seed, family } = result
    const ran = this.of(range).filter((it) => it.commit === commit && it.sources === sources)
    let stretch = ran.find((it) => it.first + it.seeds === seed)
    if (stretch === undefined) {
      stretch = { range, commit, sources, first: seed, seeds: 0, families: {} }
      this.stretches.push(stretch)
    }
    stretch.seeds++
    stretch.families[family] ??= emptySums()
    addResult(stretch.families[family], result)
  }

  save(): void {
    const temporary = `${this.file}.new`
    writeFileSync(temporary, `${JSON.stringify({ stretches: this.stretches }, undefined, 2)}\n`)
    renameSync(temporary, this.file)
  }

  /** Whether seeds of this range ran over other sources than these: a line for people, or nothing. */
  otherSources(range: string, { sources }: Build): string | undefined {
    const others = this.of(range).filter((it) => it.sources !== sources)
    const ran = others.map(({ first, seeds, commit }) => `${first} to ${first + seeds - 1} (${commit})`)
    return ran.length === 0 ? undefined : `over other sources than those of now, counted apart: seeds ${ran.join(', ')}`
  }

  /** The sums of a range, each family apart, and apart what ran over other sources. */
  describe(range: string): string {
    const own = this.of(range)
    const all = [...new Set(own.map(({ sources }) => sources))]
    return all.map((sources) => describeSources(own.filter((it) => it.sources === sources))).join('\n')
  }

  private of(range: string): Stretch[] {
    return this.stretches.filter((stretch) => stretch.range === range)
  }
}

function emptySums(): Sums {
  const counts = { seeds: 0, virtualHours: 0, calls: 0, acknowledgements: 0, changesOfPrimary: 0 }
  return { ...counts, faults: {}, violations: [] }
}

function addResult(sums: Sums, result: SeedResult): void {
  sums.seeds++
  sums.virtualHours += result.virtualMs / 3_600_000
  sums.calls += result.calls
  sums.acknowledgements += result.acknowledgements
  sums.changesOfPrimary += result.changesOfPrimary
  for (const [name, times] of Object.entries(result.faults)) sums.faults[name] = (sums.faults[name] ?? 0) + times
  const { seed } = result
  for (const { rule, text } of result.violations) sums.violations.push({ seed, rule, text: text.slice(0, 500) })
}

function describeSources(stretches: readonly Stretch[]): string {
  const families = [...new Set(stretches.flatMap((it) => Object.keys(it.families)))].sort()
  const commits = [...new Set(stretches.map(({ commit }) => commit))]
  return [
    `sources ${stretches[0]?.sources}, at ${commits.join(', ')}`,
    ...families.map((family) =>
      describeFamily(
        family,
        stretches.map((it) => it.families[family] ?? emptySums()),
      ),
    ),
  ].join('\n')
}

function describeFamily(family: string, parts: readonly Sums[]): string {
  const sum = (of: (part: Sums) => number): number => parts.reduce((all, part) => all + of(part), 0)
  const faults = new Map<string, number>()
  for (const part of parts)
    for (const [name, times] of Object.entries(part.faults)) faults.set(name, (faults.get(name) ?? 0) + times)
  const kinds = [...faults].sort(([, a], [, b]) => b - a).map(([name, times]) => `${name} ${times}`)
  const violations = parts.flatMap((part) => part.violations)
  const failed = new Set(violations.map(({ seed }) => seed))
  const which = violations.map(({ seed, rule }) => `seed ${seed} ${rule}`)
  return [
    `family ${family}: ${sum((it) => it.seeds)} seeds, ${sum((it) => it.virtualHours).toFixed(1)} virtual hours`,
    `${sum((it) => it.acknowledgements)} acknowledged operations, ${sum((it) => it.changesOfPrimary)} changes of primary`,
    `${[...faults.values()].reduce((all, times) => all + times, 0)} faults: ${kinds.join(', ')}`,
    `${failed.size} seeds failed${which.length > 0 ? `: ${which.join('; ')}` : ''}`,
  ].join('\n  ')
}

function readStretches(file: string): Stretch[] {
  const found = JSON.parse(readFileSync(file, 'utf8')) as { readonly stretches?: Stretch[] }
  const isOne = (it: Partial<Stretch>): boolean => it.families !== undefined && it.sources !== undefined
  if (!Array.isArray(found.stretches) || !found.stretches.every(isOne))
    throw new Error(`${file} holds no totals of the simulator: name another file`)
  return found.stretches
}
