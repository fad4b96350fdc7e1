import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCommand, UsageError } from '../../kit/command.ts'
import { catchMutant, clusterOf, type Recorded, type Sighting } from '../mutants/catch.ts'
import type { Mutant } from '../mutants/mutant.ts'
import { MUTANTS } from '../mutants/table.ts'
import { simulateLater } from '../simulator.ts'

const HELP = `usage: npm run sim:mutants -- [--mutant NAME] [--first N] [--count N] [--jobs N] [--wide] [--record]

Runs deliberate bugs until the simulator catches them, and says how many seeds that took.

--mutant NAME  only this one
--first N      first seed (1)
--count N      most seeds for one mutant (2000)
--jobs N       mutants that are hunted at once (2)
--wide         by seeds of the wide family, also those that a schedule or another family catches
--record       writes what caught each into test/sim/mutants/recorded.json, which the tests replay

exit codes: 0 every mutant was caught, 1 one was not, 2 usage
`
const RECORDED = join(import.meta.dirname, '../mutants/recorded.json')

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      mutant: { type: 'string' },
      first: { type: 'string', default: '1' },
      count: { type: 'string', default: '2000' },
      jobs: { type: 'string', default: '2' },
      wide: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.wide && values.record) throw new UsageError('--wide says nothing of what is recorded: without --record')
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const hunted = MUTANTS.filter(({ searched }) => searched !== true)
  const named = hunted.filter(({ name }) => values.mutant === undefined || name === values.mutant)
  const chosen = values.wide ? named.map(inWideSeeds) : named
  if (chosen.length === 0) {
    process.stderr.write(
      `there is no mutant ${values.mutant}; there are ${hunted.map(({ name }) => name).join(', ')}\n`,
    )
    return 2
  }
  const sightings = new Map<string, Sighting>()
  const queue = [...chosen]
  let escaped = 0
  const work = async (): Promise<void> => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const sighting = await hunt(mutant, Number(values.first), Number(values.count))
      if (sighting === undefined) escaped++
      else sightings.set(mutant.name, sighting)
    }
  }
  await Promise.all(Array.from({ length: Number(values.jobs) }, work))
  process.stdout.write(`${sightings.size} of ${chosen.length} mutants caught\n`)
  if (values.record) record(sightings)
  return escaped === 0 ? 0 : 1
}

function inWideSeeds({ name, rule, wrong, edits }: Mutant): Mutant {
  return { name, rule, wrong, edits, wide: true }
}

async function hunt(mutant: Mutant, first: number, count: number): Promise<Sighting | undefined> {
  const started = performance.now()
  const caught = await (mutant.schedule === undefined
    ? huntSeeds(mutant, first, count)
    : followSchedule(mutant, mutant.schedule))
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const result = caught === undefined ? `ESCAPED ${mutant.schedule ?? `${count} seeds`}` : `caught by ${caught.text}`
  process.stdout.write(`${mutant.name.padEnd(34)} ${result}, ${seconds} s\n`)
  return caught?.sighting
}

interface Caught {
  readonly sighting: Sighting
  readonly text: string
}

async function followSchedule(mutant: Mutant, schedule: string): Promise<Caught | undefined> {
  const [violation] = (await catchMutant(mutant, { schedule })).violations
  if (violation === undefined) return undefined
  return { sighting: { schedule, rule: violation.rule }, text: `${schedule}: ${violation.rule}: ${violation.text}` }
}

/** A seed counts only when the shipped source passes it. */
async function huntSeeds(mutant: Mutant, first: number, count: number): Promise<Caught | undefined> {
  for (let from = first; from < first + count; ) {
    const found = await catchMutant(mutant, { first: from, count: first + count - from })
    const [violation] = found.violations
    const { seed } = found
    if (violation === undefined || seed === undefined) return undefined
    if ((await simulateLater(seed, clusterOf(mutant))).violations.length === 0) {
      const text = `seed ${seed} (${seed - first + 1} tried): ${violation.rule}: ${violation.text.slice(0, 100)}`
      return { sighting: { seed, rule: violation.rule }, text }
    }
    from = seed + 1
  }
  return undefined
}

/** Keeps what is recorded of mutants that were not hunted now, and drops those that no longer exist. */
function record(sightings: ReadonlyMap<string, Sighting>): void {
  const before = JSON.parse(readFileSync(RECORDED, 'utf8')) as Recorded
  const after: Record<string, Sighting> = {}
  for (const { name } of MUTANTS) {
    const sighting = sightings.get(name) ?? before[name]
    if (sighting !== undefined) after[name] = sighting
  }
  writeFileSync(RECORDED, `${JSON.stringify(after, undefined, 2)}\n`)
}

await runCommand(main, HELP)
