import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LATER = 'setInterval(() => {}, 1000)'

/** Runs a module that may import from scripts/verbs, as the verbs do. */
function evaluate(source: string): ChildProcess {
  const module = `import { run } from './scripts/verbs/process.mjs'\n${source}`
  return spawn(process.execPath, ['--input-type=module', '-e', module], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function runIn(folder: string, ...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'scripts/verbs.mjs'), ...args], {
    encoding: 'utf8',
  })
  return { status, output: stdout + stderr }
}

describe('a command in the foreground', () => {
  test('gives its exit code', async () => {
    const child = evaluate(
      "process.exitCode = await run('x', process.execPath, ['-e', 'process.exit(7)'], { foreground: true })",
    )
    const [code] = await once(child, 'exit')
    assert.equal(code, 7)
  })

  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const) {
    test(`gets ${signal} passed on, and its end is waited for`, async () => {
      const source = `process.exitCode = await run('x', process.execPath, ['-e', "console.log('up'); ${LATER}"], { foreground: true })`
      const child = evaluate(source)
      assert.ok(child.stdout !== null)
      await once(child.stdout, 'data')
      child.kill(signal)
      const [exitCode] = await once(child, 'exit')
      assert.equal(exitCode, code)
    })
  }
})

describe('misuse is told in one message', () => {
  test('a verb that does not exist', () => {
    const { status, output } = runIn(ROOT, 'strat')
    assert.equal(status, 2)
    assert.match(output, /no such verb: strat/)
  })

  test('a stage that does not exist, with those that do', () => {
    const { status, output } = runIn(ROOT, 'test', 'units')
    assert.equal(status, 2)
    assert.match(output, /no such stage: units; there are unit, sim/)
  })
})

describe('a checkout', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ashlar-verbs-'))
  cpSync(join(ROOT, 'scripts'), join(folder, 'scripts'), { recursive: true })
  after(() => rmSync(folder, { recursive: true }))

  const lock = (packages: object): string => JSON.stringify({ packages })
  const a = { version: '1.0.0', integrity: 'x' }

  /** What the installation finds missing, for a lock file and what lies in node_modules. */
  function difference(wanted: object, installed: object | undefined): string {
    rmSync(join(folder, 'node_modules'), { recursive: true, force: true })
    writeFileSync(join(folder, 'package-lock.json'), lock(wanted))
    if (installed !== undefined) {
      mkdirSync(join(folder, 'node_modules'))
      writeFileSync(join(folder, 'node_modules/.package-lock.json'), lock(installed))
    }
    const source = "import { firstDifference } from './scripts/verbs/install.mjs'; console.log(firstDifference())"
    return spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      cwd: folder,
      encoding: 'utf8',
    }).stdout.trim()
  }

  test('is installed again when something is missing or of another version', () => {
    assert.match(difference({ 'node_modules/a': a }, undefined), /nothing is installed yet/)
    assert.match(difference({ 'node_modules/a': a }, {}), /node_modules\/a is not installed/)
    const older = { 'node_modules/a': { ...a, version: '0.9.0' } }
    assert.match(difference({ 'node_modules/a': a }, older), /not the version of package-lock/)
  })

  test('is installed without a warning for each package that wants a newer Node', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ashlar-install-'))
    try {
      cpSync(join(ROOT, 'scripts/verbs'), join(folder, 'scripts/verbs'), { recursive: true })
      const tool = { name: 'tool', version: '1.0.0', engines: { node: '>=999' } }
      const manifest = { name: 'checkout', workspaces: ['tool'] }
      const link = { resolved: 'tool', link: true }
      mkdirSync(join(folder, 'tool'))
      writeFileSync(join(folder, 'tool/package.json'), JSON.stringify(tool))
      writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
      const packages = { '': manifest, tool, 'node_modules/tool': link }
      writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...manifest, lockfileVersion: 3, packages }))
      const source = "import { ensureInstalled } from './scripts/verbs/install.mjs'; await ensureInstalled()"
      const args = ['--input-type=module', '-e', source]
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
      assert.equal(status, 0, stderr)
      assert.match(stdout, /nothing is installed yet/)
      assert.equal(stderr, '')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('is left alone when all is there but packages for other platforms', () => {
    const wanted = { '': {}, 'packages/cli': {}, 'node_modules/a': a, 'node_modules/b': { ...a, optional: true } }
    assert.equal(difference(wanted, { 'node_modules/a': a }), 'undefined')
  })
})
