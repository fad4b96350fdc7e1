/**
 * The verbs of this repository: `npm start`, `npm test`, `npm run check`, `npm run soak`. npm calls this file with whatever Node runs
 * npm, also in a fresh clone where nothing is installed yet, so it and scripts/verbs/ use no package and nothing that
 * Node 20 lacks. Everything after the installation runs under the Node that package-lock.json pins.
 */
import { isatty } from 'node:tty'
import { build, buildAll } from './verbs/build.mjs'
import { ensureInstalled } from './verbs/install.mjs'
import { Failure, run } from './verbs/process.mjs'
import { STAGES, testStages } from './verbs/stages.mjs'

const HELP = `usage: npm start [-- ARGUMENTS OF ashlar dev]
       npm test [-- STAGE...]
       npm run check
       npm run soak [-- --hours H --seed N --nodes 3|5]

start  installs and builds what is missing, then runs a cluster on this machine: ashlar dev
test   installs, builds, checks the sources and runs the tests; with stages, only these
check  tidy, generated pages, biome, commits, types and the unit tests: before every commit
soak   real processes behind bad links, killed and stopped, for hours: npm run soak -- --help

stages: ${Object.entries(STAGES)
  .map(([name, stage]) => `${name} (${stage.title})`)
  .join(', ')}
ASHLAR_REQUIRE_TOOLS=1 makes a missing tool (nbdcopy, fio, …) a failure instead of a skipped test.
`

const VERBS = {
  async start(args) {
    const node = await ensureInstalled()
    await build(node)
    return run('dev', node, ['packages/cli/bin/ashlar.mjs', 'dev', ...args], { foreground: true })
  },
  async test(args) {
    const unknown = args.filter((name) => !Object.hasOwn(STAGES, name))
    if (unknown.length > 0) {
      throw new Failure(`no such stage: ${unknown.join(', ')}; there are ${Object.keys(STAGES).join(', ')}`, 2)
    }
    const node = await ensureInstalled()
    await buildAll(node)
    if (args.length > 0) return testStages(node, args)
    // Unclean sources fail the run at its end: what the tests say is worth knowing all the same.
    const clean = await checkSources(node)
    const passed = (await testStages(node, Object.keys(STAGES))) === 0
    if (!clean) throw new Failure(UNCLEAN)
    return passed ? 0 : 1
  },
  async check(args) {
    if (args.length > 0) throw new Failure(`check takes no arguments, got ${args.join(' ')}`, 2)
    const node = await ensureInstalled()
    if (!(await checkSources(node))) throw new Failure(UNCLEAN)
    await buildAll(node)
    return testStages(node, ['unit'])
  },
  async soak(args) {
    const node = await ensureInstalled()
    await build(node)
    return run('soak', node, ['--conditions=ashlar-source', 'test/cluster/net/bin/soak.ts', ...args], {
      foreground: true,
    })
  },
  async help() {
    process.stdout.write(HELP)
    return 0
  },
}

const UNCLEAN = 'the sources are not clean: see what tidy, gen-docs, biome and the check of commits said above'

/** Resolves to whether tidy, biome and the check of commits have nothing to say, and every generated page is what the sources say. */
async function checkSources(node) {
  const colors = isatty(1) ? [] : ['--colors=off']
  const biome = ['node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', ...colors, '.']
  const results = [
    await run('tidy', node, ['scripts/tidy.mjs']),
    await run('generated pages', node, ['--conditions=ashlar-source', 'scripts/gen-docs.mjs', '--check']),
    await run('biome', node, biome),
    await run('commits', node, ['scripts/commits.mjs']),
  ]
  return results.every((code) => code === 0)
}

const [verb = 'help', ...args] = process.argv.slice(2)
try {
  if (!Object.hasOwn(VERBS, verb)) throw new Failure(`no such verb: ${verb}\n\n${HELP}`, 2)
  process.exitCode = await VERBS[verb](args)
} catch (error) {
  if (!(error instanceof Failure)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = error.exitCode
}
