import assert from 'node:assert/strict'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { longest } from '../../kit/deadline.ts'
import { DevCluster, eventually, freePorts, run } from '../../kit/dev-cluster.ts'
import { requireTool } from '../../kit/tools.ts'
import { Operator, readPage } from './drill.ts'
import { makeForeign } from './foreign.ts'

let cluster: DevCluster
let operator: Operator
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
  operator = await Operator.at(cluster)
  await operator.type('ashlar volume create strict --size 64Mi --min-in-sync 3')
  await operator.type('ashlar cluster wait --for healthy --timeout 60s')
})
after(async () => {
  await operator?.leave()
  await cluster?.stop()
})

const page = (name: string, names: Readonly<Record<string, string>> = {}) =>
  readPage(name, { DIR: cluster.directory, ...names })

/** The process that runs a node now: pages start nodes again. */
async function pidOf(id: string): Promise<number> {
  const { pid } = (await (await fetch(`${cluster.node(id).api}/v1/local`)).json()) as { pid: number }
  return pid
}

async function down(id: string): Promise<void> {
  await operator.see('ashlar cluster info', new RegExp(`node ${id} is down`))
}

test('a process that is stopped', { timeout: longest(60_000) }, async () => {
  await operator.writeData()
  const pid = await pidOf('n2')
  process.kill(pid, 'SIGSTOP')
  await operator.see('ashlar cluster info', /n2 is down[\s\S]*kill -CONT/)
  await operator.see('ashlar explain node n2', /accepts connections from n1 and n3/)
  await operator.follow(await page('node-hangs', { PID: `${pid}` }))
  await operator.assertData()
})

test('a process that was killed', { timeout: longest(60_000) }, async () => {
  await operator.writeData()
  process.kill(await pidOf('n3'), 'SIGKILL')
  await operator.see('ashlar explain node n3', /is down[\s\S]*refused connections from n1 and n2/)
  await operator.follow(await page('node-down'))
  await operator.assertData()
})

test('a volume that needs the replica of a dead node to write', { timeout: longest(60_000) }, async () => {
  await operator.writeData('strict')
  process.kill(await pidOf('n3'), 'SIGKILL')
  await down('n3')
  await operator.follow(await page('writes-refused'))
  await operator.assertData('strict')
})

test('a data directory of another cluster', { timeout: longest(60_000) }, async () => {
  await operator.writeData()
  await operator.type(`ashlar dev stop n2 --data-dir ${cluster.directory}`)
  const { dataDir, peer } = cluster.node('n2')
  await rename(dataDir, `${dataDir}.moved`)
  await mkdir(dataDir)
  await makeForeign(dataDir, peer)
  await operator.type(`ashlar dev start n2 --data-dir ${cluster.directory}`, [1])
  await operator.see('ashlar explain node n2', /is down[\s\S]*n1 refused the handshake/)
  await operator.follow(await page('wrong-directory'), { own: [/^mv /] })
  await operator.assertData()
  await rm(`${dataDir}.other`, { recursive: true })
})

test('a volume that another gateway has open', { timeout: longest(60_000) }, async (context) => {
  if (!requireTool(context, 'nbdcopy', 'nbdinfo')) return
  const image = join(cluster.directory, 'demo.img')
  await writeFile(image, Buffer.concat(await operator.writeData()))
  const listen = `127.0.0.1:${(await freePorts(1)).nbd}`
  await using stranger = operator.start(
    `exec ashlar gateway run --export demo --listen ${listen} --peers ${cluster.node('n1').peer}`,
  )
  await eventually('the other gateway listens', async () =>
    (await run('nbdinfo', ['--size', `nbd://${listen}/demo`])).code === 0 ? true : undefined,
  )
  await using _client = operator.start(`(cat ${image}; exec sleep 600) | nbdcopy - nbd://${listen}/demo`)
  await operator.see('ashlar explain volume demo', new RegExp(`open by gateway on .* pid ${stranger.pid} `))
  await operator.type(`nbdcopy ${image} ${cluster.nbdUri}`, [1])
  await operator.follow(await page('volume-held', { PID: `${stranger.pid}` }), { own: [/^kill /] })
  await stranger.ended
  await operator.type(`nbdcopy ${image} ${cluster.nbdUri}`)
  await operator.assertData()
})

test('a voter without its control log, while another one is down', { timeout: longest(60_000) }, async () => {
  await operator.writeData()
  await operator.type('ashlar cluster leader transfer n1', [0, 4])
  process.kill(await pidOf('n2'), 'SIGKILL')
  process.kill(await pidOf('n1'), 'SIGKILL')
  await rm(join(cluster.node('n2').dataDir, 'store', 'control'), { recursive: true })
  await operator.type(`ashlar dev start n2 --data-dir ${cluster.directory}`)
  await operator.see('ashlar cluster info', /n2 lost its copy of control's log[\s\S]*dev start n1/)
  await operator.follow(await page('control-log-gone'))
  await operator.assertData()
})

test('a volume with one extent whose only replica is on a dead node', { timeout: longest(60_000) }, async () => {
  await operator.type('ashlar volume create apart --size 192Mi --extent-size 16Mi --replicas 1')
  const extents = await cluster.extents('apart')
  assert.ok(extents.some(({ primary }) => primary === 'n3') && extents.some(({ primary }) => primary !== 'n3'))
  await operator.writeData()
  process.kill(await pidOf('n3'), 'SIGKILL')
  await down('n3')
  await operator.follow(await page('dead-extent'))
  await operator.assertData()
})
