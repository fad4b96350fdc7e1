import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { skipWithout } from '../kit/tools.ts'
import { DASHBOARDS, filledIn, readDashboard } from './dashboard.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}
interface AlertTest {
  readonly alertname: string
  readonly exp_alerts?: readonly unknown[]
}

function yaml<T>(name: string): T {
  return parse(readFileSync(join(DASHBOARDS, name), 'utf8')) as T
}

const RULES = yaml<{ groups: readonly { rules: readonly Rule[] }[] }>('alerts.yml').groups.flatMap(({ rules }) => rules)
const TESTS = yaml<{ tests: readonly { alert_rule_test: readonly AlertTest[] }[] }>('alerts.test.yml').tests.flatMap(
  (scenario) => scenario.alert_rule_test,
)

/** Names of metrics that the sources register, and those of prom-client and Prometheus that are always there. */
function knownMetrics(): Set<string> {
  const sources = ['packages/node/src', 'packages/client/src', 'packages/cli/src'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(ROOT, folder, name), 'utf8')),
  )
  const names = sources.flatMap((text) => [...text.matchAll(/'(ashlar_[a-z_]+)'/g)].map((match) => match[1] ?? ''))
  return new Set([...names, 'process_cpu_seconds_total', 'process_resident_memory_bytes', 'up'])
}

/** Metrics that a query reads. */
function metricsOf(expr: string): string[] {
  return (expr.match(/\b(?:ashlar|process|nodejs)_[a-z_]+|\bup\b/g) ?? []).map((name) => name.replace(/_bucket$/, ''))
}

function promtool(args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: DASHBOARDS, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

describe('alert rules', () => {
  test('fire when they should and stay quiet when they should not', { skip: skipWithout('promtool') }, () => {
    const { status, output } = promtool(['test', 'rules', 'alerts.test.yml'])
    assert.equal(status, 0, output)
  })

  for (const { alert, expr, labels, annotations } of RULES) {
    test(`${alert} has a test that fires and one that does not, a severity, and instructions`, () => {
      const tests = TESTS.filter(({ alertname }) => alertname === alert)
      assert.ok(
        tests.some((one) => (one.exp_alerts ?? []).length > 0),
        'no test in which it fires',
      )
      assert.ok(
        tests.some((one) => one.exp_alerts === undefined),
        'no test in which it stays quiet',
      )
      assert.match(labels['severity'] ?? '', /^(?:warning|critical)$/)
      const [page = '', anchor = ''] = (annotations['runbook_url'] ?? '').split('#')
      const headings = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^## (\w+)$/gm)]
      assert.ok(
        headings.some(([, heading]) => heading?.toLowerCase() === anchor),
        `${page} has no heading for ${anchor}`,
      )
      assert.deepEqual(
        metricsOf(expr).filter((name) => !knownMetrics().has(name)),
        [],
        'metrics that nothing exposes',
      )
    })
  }
})

describe('the dashboard', () => {
  const panels = readDashboard().panels.filter(({ type }) => type !== 'row')
  const queries = panels.flatMap((panel) => (panel.targets ?? []).map(({ expr }) => ({ title: panel.title, expr })))

  test('has panels with titles of their own, a description, and the data source as a variable', () => {
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length)
    for (const panel of panels) {
      assert.ok((panel.description ?? '').length > 5, `${panel.title} says nothing about itself`)
      assert.equal(panel.datasource?.uid, '$'.concat('{datasource}'), `${panel.title} is tied to one data source`)
      assert.ok((panel.targets ?? []).length > 0, `${panel.title} asks nothing`)
    }
  })

  test('reads only metrics that the sources expose', () => {
    const known = knownMetrics()
    for (const { title, expr } of queries) {
      assert.deepEqual(
        metricsOf(expr).filter((name) => !known.has(name)),
        [],
        title,
      )
    }
  })

  test('holds only queries that Prometheus can parse', { skip: skipWithout('promtool') }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'ashlar-dashboard-'))
    try {
      const rules = queries.map(({ expr }, index) => ({ record: `panel:${index}`, expr: filledIn(expr) }))
      writeFileSync(join(folder, 'queries.yml'), JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
      const { status, output } = promtool(['check', 'rules', join(folder, 'queries.yml')])
      assert.equal(status, 0, output)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
