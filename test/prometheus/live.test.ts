import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DevCluster, eventually, freePorts, run } from '../kit/dev-cluster.ts'
import { skipWithout } from '../kit/tools.ts'
import { DASHBOARDS, filledIn, readDashboard } from './dashboard.ts'

const ASHLAR = fileURLToPath(new URL('../../packages/cli/bin/ashlar.mjs', import.meta.url))
const SEEN_MS = 60_000

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [time: number, value: string]
}

describe('a real Prometheus that reads a real cluster', {
  skip: skipWithout('prometheus', 'promtool', 'nbdcopy'),
}, () => {
  let folder = ''
  let cluster: DevCluster
  let url = ''
  let gatewayApi = ''
  let gatewayNbd = ''
  const processes: ChildProcess[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ashlar-prometheus-'))
    cluster = await DevCluster.start()
    const { api, nbd } = await freePorts(1)
    gatewayApi = `127.0.0.1:${api}`
    gatewayNbd = `127.0.0.1:${nbd}`
    url = `http://127.0.0.1:${api + 100}`
    const peers = cluster.info.nodes.map(({ peer }) => peer).join(',')
    start(process.execPath, [ASHLAR, 'gateway', 'run', '--listen', gatewayNbd, '--api', gatewayApi, '--peers', peers])
    await writeFile(join(folder, 'prometheus.yml'), configuration())
    start('prometheus', [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${api + 100}`,
    ])
    await eventually(
      'Prometheus answers',
      async () => ((await query('vector(1)')).length > 0 ? true : undefined),
      SEEN_MS,
    )
  })

  after(async () => {
    for (const child of processes.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
    await cluster?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  function start(program: string, args: readonly string[]): void {
    processes.push(spawn(program, args, { stdio: 'ignore' }))
  }

  function configuration(): string {
    const job = (name: string, targets: readonly string[]) => ({ job_name: name, static_configs: [{ targets }] })
    const nodes = cluster.info.nodes.map(({ api }) => api.replace('http://', ''))
    return JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [join(DASHBOARDS, 'alerts.yml')],
      scrape_configs: [job('ashlar', nodes), job('ashlar-gateway', [gatewayApi])],
    })
  }

  async function query(expr: string): Promise<Series[]> {
    const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: expr })}`)
    const { data, error } = (await response.json()) as { data?: { result: Series[] }; error?: string }
    if (data === undefined) throw new Error(`${expr}: ${error}`)
    return data.result
  }

  /** The value of a query with one series, once it is as expected. */
  function becomes(expr: string, what: string, expected: (value: number) => boolean): Promise<number> {
    return eventually(
      `${expr} is ${what}`,
      async () => {
        const [series] = await query(expr)
        const value = Number(series?.value[1])
        return expected(value) ? value : undefined
      },
      SEEN_MS,
    )
  }

  test('every node and the gateway are read', async () => {
    await becomes('sum(up)', '4', (value) => value === 4)
  })

  test('promtool finds nothing wrong with what they expose', async () => {
    for (const address of [...cluster.info.nodes.map(({ api }) => api), `http://${gatewayApi}`]) {
      const text = await (await fetch(`${address}/metrics`)).text()
      const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
      assert.equal(status, 0, `${address}: ${stderr}`)
    }
  })

  test('writing through the gateway moves what should move', async () => {
    await writeFile(join(folder, 'disk.img'), randomBytes(8 * 1024 * 1024))
    const copied = await run('nbdcopy', [join(folder, 'disk.img'), `nbd://${gatewayNbd}/demo`])
    assert.equal(copied.code, 0, copied.stderr)
    const above = (bound: number) => (value: number) => value > bound
    await becomes(
      'sum(ashlar_replication_operation_bytes_total{volume="demo", operation="write"})',
      'what was written',
      above(8e6),
    )
    await becomes(
      'sum(ashlar_replication_operation_seconds_count{volume="demo", operation="write"})',
      'above 0',
      above(0),
    )
    await becomes('min(ashlar_storage_sync_seconds_count)', 'above 0 on every node', above(0))
    await becomes('sum(ashlar_gateway_requests_total{export="demo", errno="0"})', 'above 0', above(0))
    await becomes('max(ashlar_process_event_loop_delay_seconds)', 'above 0', above(0))
    await becomes('count(ashlar_storage_driver) ', 'above 0: LevelDB says something', above(0))
  })

  test('a node that is lost and comes back is seen: replicas in sync, the alert, and the blocks that were copied', async () => {
    const inSync = 'min(ashlar_replication_in_sync_replicas{volume="demo"})'
    await becomes(inSync, '3', (value) => value === 3)
    await cluster.kill('n2')
    await becomes(inSync, '2', (value) => value === 2)
    await becomes('sum(ALERTS{alertname="AshlarNodeDown", alertstate="pending"})', '1', (value) => value === 1)
    await becomes('max(ashlar_replication_extents{volume="demo", state="degraded"})', 'above 0', (value) => value > 0)
    const copied = await run('nbdcopy', [join(folder, 'disk.img'), `nbd://${gatewayNbd}/demo`])
    assert.equal(copied.code, 0, copied.stderr)
    cluster.start('n2')
    await becomes('sum(ashlar_recovery_copied_blocks_total)', 'above 0', (value) => value > 0)
    await becomes(inSync, '3', (value) => value === 3)
  })

  test('every panel of the dashboard shows something', async () => {
    for (const { title, targets } of readDashboard().panels) {
      for (const { expr } of targets ?? []) {
        await eventually(
          `"${title}" has series: ${expr}`,
          async () => ((await query(filledIn(expr))).length > 0 ? true : undefined),
          SEEN_MS,
        )
      }
    }
  })
})
