import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runCommand } from '../../kit/command.ts'
import { reasonOf } from '../uncovered/reasons.ts'
import { describe, RECORDED, type Recorded, readRecorded, unexplained } from '../uncovered/report.ts'
import { uncoveredBySeeds } from '../uncovered/seeds.ts'

const HELP = `usage: npm run sim:coverage -- [--record]

Runs seeds of every family and prints, file by file, which branches of the machines (packages/node/src/core and
packages/client/src/core) none of them ran, with the reason that is recorded for each.

--record   writes the list into test/sim/uncovered/recorded.json, with what any of the processes alone did not run: known
           reasons stay, new branches get one by what they look like, which is to be looked at

exit codes: 0 every branch that is not run has a reason, 1 one has none, 2 usage
`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      record: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const { all, shares } = await uncoveredBySeeds()
  const found = describe(all)
  const recorded = readRecorded()
  for (const [path, list] of found) {
    process.stdout.write(`${path}\n`)
    for (const { line, what } of list)
      process.stdout.write(`  ${line} ${what}\n    ${recorded[path]?.[what] || 'NO REASON'}\n`)
  }
  const missing = unexplained(found, recorded)
  const count = [...found.values()].reduce((sum, list) => sum + list.length, 0)
  process.stdout.write(`${count} branches are not run, ${missing.length} of them without a reason\n`)
  if (values.record) record([found, ...shares.map(describe)], recorded)
  return missing.length === 0 ? 0 : 1
}

function record(founds: readonly ReturnType<typeof describe>[], before: Recorded): void {
  const paths = [...new Set(founds.flatMap((found) => [...found.keys()]))].sort()
  const after = paths.map((path) => {
    const whats = new Set(founds.flatMap((found) => (found.get(path) ?? []).map(({ what }) => what)))
    return [path, Object.fromEntries([...whats].map((what) => [what, before[path]?.[what] || reasonOf(path, what)]))]
  })
  writeFileSync(RECORDED, `${JSON.stringify(Object.fromEntries(after), undefined, 2)}\n`)
}

await runCommand(main, HELP)
