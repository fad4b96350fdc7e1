import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { explore, type Found } from '../search/explore.ts'
import { SCENARIOS } from '../search/scenarios.ts'
import type { Scenario } from '../search/state.ts'

const HELP = `usage: npm run sim:search -- [--scenario NAME] [--NUMBER N ...] [--from steady|opening|joining|reopening|apart|dark] [--minutes M] [--states N] [--jobs N]

Goes through every state that the shipped machines of a small cluster can reach: every order of messages, every crash point.

--scenario NAME  only this one; without it all, each to its end
--minutes M      stop after so long (10)
--states N       stop after so many states (20000000)
--jobs N         searches at once (1)
--json           one line of JSON for each search

With --scenario its bounds may be changed: --stores, --minInSync, --writes, --blocks, --reads, --retries, --crashes, --cuts,
--delays (times at which time passes although something is on its way), --pauses (times at which time passes at all).
--victims all    control's node may crash too

scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')}
exit codes: 0 nothing was broken and every search came to its end, 1 otherwise, 2 usage
`

const BOUNDS = [
  'stores',
  'minInSync',
  'writes',
  'blocks',
  'reads',
  'retries',
  'crashes',
  'cuts',
  'delays',
  'pauses',
] as const
const text = { type: 'string' } as const
const { values } = parseArgs({
  options: {
    scenario: text,
    from: text,
    victims: text,
    minutes: { type: 'string', default: '10' },
    states: { type: 'string', default: '20000000' },
    jobs: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    ...(Object.fromEntries(BOUNDS.map((bound) => [bound, text])) as Record<(typeof BOUNDS)[number], typeof text>),
  },
})

function searchOne(name: string): number {
  const known = SCENARIOS.find((scenario) => scenario.name === name)
  if (known === undefined) {
    process.stderr.write(`there is no scenario ${name}\n\n${HELP}`)
    return 2
  }
  const changes = BOUNDS.flatMap((bound) => (values[bound] === undefined ? [] : [[bound, Number(values[bound])]]))
  const { from = known.from, victims = known.victims } = values
  const scenario = { ...known, ...Object.fromEntries(changes), from, victims } as Scenario
  const found = explore(scenario, { states: Number(values.states), ms: Number(values.minutes) * 60_000 })
  process.stdout.write(values.json ? `${JSON.stringify(found)}\n` : textOf(found))
  return found.complete ? 0 : 1
}

function textOf({ scenario, complete, states, answered, steps, nodeStates, compared, ms, violation }: Found): string {
  const { name, about, ...bounds } = scenario
  const end = violation !== undefined ? 'BROKEN' : complete ? 'every state' : 'STOPPED EARLY'
  const lines = [
    `${name}: ${about}`,
    `  ${JSON.stringify(bounds)}`,
    `  ${end}: ${states} states, in ${answered} of them every call answered, ${steps} events, ${nodeStates} states of single nodes, ${compared} compared, ${(ms / 1000).toFixed(1)} s`,
  ]
  if (violation !== undefined) lines.push(`  ${violation.text}`, ...violation.events.map((event) => `    ${event}`))
  return `${lines.join('\n')}\n`
}

async function searchAll(): Promise<number> {
  const queue = SCENARIOS.map(({ name }) => name)
  let worst = 0
  const work = async (): Promise<void> => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      worst = Math.max(worst, await searchInChild(name))
    }
  }
  await Promise.all(Array.from({ length: Number(values.jobs) }, work))
  return worst
}

function searchInChild(name: string): Promise<number> {
  const args = [...process.execArgv, import.meta.filename, ...process.argv.slice(2), '--scenario', name]
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
}

if (values.help) process.stdout.write(HELP)
else process.exitCode = values.scenario === undefined ? await searchAll() : searchOne(values.scenario)
