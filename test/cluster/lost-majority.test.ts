import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'
import { argumentsOf, commandsOf } from '../kit/todo.ts'

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
  const strict = await cluster.cli(['volume', 'create', 'strict', '--size', '64Mi', '--min-in-sync', '3'])
  assert.equal(strict.code, 0, strict.stderr)
  const well = await cluster.cli(['cluster', 'wait', '--for', 'healthy', '--timeout', '60s'])
  assert.equal(well.code, 0, well.stderr)
})
after(() => cluster?.stop())

interface Info {
  readonly state: string
  readonly reasons: readonly string[]
  readonly extents: Readonly<Record<string, number>>
  readonly todo: readonly string[]
}
interface Explanation {
  readonly state: string
  readonly problems: readonly string[]
  readonly todo: readonly string[]
}

async function get<T>(path: string): Promise<T> {
  return (await (await fetch(`${cluster.node('n1').api}${path}`)).json()) as T
}

/** What n1 says of the whole, and of each volume. */
async function seen(): Promise<{ info: Info; nodes: Map<string, string>; volumes: Map<string, string> }> {
  const [info, nodes, volumes] = await Promise.all([
    get<Info>('/v1/cluster'),
    get<{ id: string; state: string }[]>('/v1/nodes'),
    get<{ name: string; state: string }[]>('/v1/volumes'),
  ])
  return {
    info,
    nodes: new Map(nodes.map(({ id, state }) => [id, state])),
    volumes: new Map(volumes.map(({ name, state }) => [name, state])),
  }
}

/** From its first answer that counts the killed node until its lease ends, n1 calls nothing healthy that needs it. */
async function killed(id: string, end: (said: Awaited<ReturnType<typeof seen>>) => boolean): Promise<void> {
  await cluster.kill(id)
  let counted = false
  await eventually(`the lease of ${id} ended`, async () => {
    const said = await seen()
    counted ||= said.info.reasons.some((reason) => /does not respond, and is counted until/.test(reason))
    if (counted) assert.notEqual(said.volumes.get('strict'), 'healthy', said.info.reasons.join('\n'))
    if (counted) assert.notEqual(said.info.state, 'healthy')
    return end(said) ? true : undefined
  })
  assert.ok(counted, `it was said that ${id} is counted until its lease ends`)
}

test('without a majority no answer says healthy, and the commands that help are named', {
  timeout: longest(120_000),
}, async () => {
  await killed('n3', ({ nodes }) => nodes.get('n3') === 'down')
  await killed('n2', ({ info }) => info.extents['unknown'] === 2)
  const { nodes, volumes } = await seen()
  assert.deepEqual([...volumes.values()], ['unknown', 'unknown'])
  assert.deepEqual([nodes.get('n2'), nodes.get('n3')], ['unknown', 'down'])

  const [n1, start] = [cluster.node('n1'), `ashlar dev start n2 --data-dir ${cluster.directory}`]
  const cutOff =
    /^n1 is cut off from control: 1 of 3 voters responds \(n1\), and control needs 2; its map is from .* old$/
  for (const what of ['cluster', 'volume/demo', 'extent/strict/0', 'node/n2']) {
    const { state, problems, todo } = await get<Explanation>(`/v1/explain/${what}`)
    assert.ok(['unavailable', 'unknown'].includes(state), `${what} is ${state}`)
    assert.match(problems[0] ?? '', cutOff, what)
    const commands = commandsOf(todo)
    assert.ok(commands.includes(start), todo.join('\n'))
    assert.ok(commands.includes(`ashlar cluster recover --from ${n1.dataDir}`), todo.join('\n'))
  }
  const info = await cluster.cli(['cluster', 'info'])
  assert.match(info.stdout, /^State: +unavailable$/m)
  assert.deepEqual(commandsOf(info.stdout.split('\n').map((line) => line.trim())).includes(start), true, info.stdout)
  assert.equal((await cluster.cli(['cluster', 'check'])).code, 8)
  const listed = await cluster.cli(['volume', 'ls'])
  assert.match(listed.stdout, /^demo .* unknown /m)
  assert.match(listed.stderr, /n1 is cut off from control/)

  await cluster.kill('n1')
  cluster.start('n1')
  const restarted = await eventually('it says so again without a map', async () => {
    const said = await get<Explanation>('/v1/explain/cluster')
    return /it has received no map since it started$/.test(said.problems[0] ?? '') ? said : undefined
  })
  assert.ok(commandsOf(restarted.todo).includes(start), restarted.todo.join('\n'))
  assert.match(restarted.todo.at(-1) ?? '', new RegExp(`: ashlar cluster recover --from ${n1.dataDir}$`))
  assert.equal((await cluster.cli(['volume', 'ls'])).code, 5, 'there are volumes, and it does not know them')

  const done = await cluster.cli(argumentsOf(start))
  assert.equal(done.code, 0, done.stderr)
  await eventually('a majority is back', async () =>
    (await seen()).volumes.get('demo') === 'degraded' ? true : undefined,
  )
  assert.equal((await cluster.cli(argumentsOf(`ashlar dev stop n2 --data-dir ${cluster.directory}`))).code, 0)
})
