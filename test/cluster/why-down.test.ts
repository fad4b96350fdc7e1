import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { type ClusterId, NODE_ENDS } from '@ashlar/proto'
import { openStore } from '../../packages/node/src/storage/index.ts'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

interface Explanation {
  readonly state: string
  readonly problems: readonly string[]
  readonly todo: readonly string[]
}

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start()
})
after(() => cluster?.stop())

async function stateOf(id: string): Promise<string | undefined> {
  const nodes = await cluster.json<{ id: string; state: string }[]>(['node', 'ls'])
  return nodes.find((node) => node.id === id)?.state
}

/** What the other nodes say of a node once it is down, as soon as they know this of it. */
async function explained(id: string, cause: RegExp): Promise<Explanation & { readonly problem: string }> {
  let last = ''
  return await eventually(`n1 explains ${id} with ${cause}`, async () => {
    const said = await cluster.json<Explanation>(['explain', 'node', id])
    const problem = said.problems.join('\n')
    last = `${said.state}: ${problem}`
    return said.state === 'down' && cause.test(problem) ? { ...said, problem } : undefined
  }).catch((cause) => assert.fail(`${cause}; the last answer was ${last}`))
}

/** Runs a command that the product printed: `kill` by a signal of this process, `ashlar` as it is. */
async function follow(todo: readonly string[], pattern: RegExp): Promise<void> {
  const line =
    todo.find((action) => pattern.test(action)) ?? assert.fail(`no action ${pattern} in:\n${todo.join('\n')}`)
  const words = line.slice(line.lastIndexOf(': ') + 2).split(' ')
  if (words[0] === 'kill') {
    process.kill(Number(words[2]), `SIG${words[1]?.slice(1)}` as NodeJS.Signals)
    return
  }
  assert.equal(words[0], 'ashlar', line)
  const { code, stderr } = await cluster.cli(words.slice(1))
  assert.equal(code, 0, `${line}: ${stderr}`)
}

async function up(id: string): Promise<void> {
  await eventually(`${id} is up`, async () => ((await stateOf(id)) === 'up' ? true : undefined))
}

test('a stopped process is explained as such, and continued by the command that is printed', {
  timeout: longest(60_000),
}, async () => {
  await cluster.kill('n2', 'SIGSTOP')
  const { problem, todo } = await explained('n2', /accepts connections from n1 and n3/)
  assert.match(problem, new RegExp(`process ${cluster.node('n2').pid} is stopped or hangs`))
  assert.ok(!todo.some((line) => line.startsWith('start')), todo.join('\n'))
  await follow(todo, /kill -CONT/)
  await up('n2')
})

test('a killed process is explained as one that does not run, and started by the command that is printed', {
  timeout: longest(60_000),
}, async () => {
  await cluster.kill('n3')
  const { problem, todo } = await explained('n3', /has refused connections from n1 and n2/)
  assert.match(problem, /its last link to .* no stop was announced/)
  await follow(todo, /^start n3 again/)
  await up('n3')
})

test('a directory of another cluster is explained with the words of the refusal, and no start is advised before it is put right', {
  timeout: longest(60_000),
}, async () => {
  const { dataDir } = cluster.node('n2')
  await cluster.cli(['dev', 'stop', 'n2', '--data-dir', cluster.directory])
  await rename(dataDir, `${dataDir}.moved`)
  const other = randomUUID() as string as ClusterId
  const store = await openStore({ directory: dataDir, ballastBytes: 0 }, () => undefined)
  await store.saveCluster(other, [{ store: store.identity.store, address: cluster.node('n2').peer }], true)
  await store.close()
  cluster.start('n2')
  assert.equal(await cluster.ended('n2'), NODE_ENDS['other-cluster'].exit)

  const { problem, todo } = await explained('n2', /refused the handshake/)
  assert.match(problem, new RegExp(`data directory of another cluster: .*${other}`))
  assert.match(problem, new RegExp(cluster.info.cluster))
  assert.match(todo[0] ?? '', /^give n2 the data directory of this cluster again/)
  assert.ok(!todo.some((line) => line.startsWith('start')), todo.join('\n'))

  await rm(dataDir, { recursive: true })
  await rename(`${dataDir}.moved`, dataDir)
  await follow(todo, /then start n2 again/)
  await up('n2')
})
