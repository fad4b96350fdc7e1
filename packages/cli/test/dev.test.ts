import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { lastWords } from '../src/dev/log-file.ts'
import { checkDevOptions, type DevOptions, planDev } from '../src/dev/plan.ts'
import { answersNbd, checkPorts } from '../src/dev/ports.ts'
import { endProcesses, isAlive, runsCommand, startProcess } from '../src/dev/processes.ts'
import { readyJson, readyText } from '../src/dev/ready.ts'
import { type DevState, readState, withPid, writeState } from '../src/dev/state.ts'

const OPTIONS: DevOptions = {
  ...{ nodes: 3, dataDir: '/data', apiPort: 7480, nbd: '127.0.0.1:10809' },
  ...{ volume: 'demo', sizeBytes: 2 ** 30, replicas: 3, restart: false },
}
const ASHLAR = ['/node', '/ashlar.mjs']

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-cli-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

function stateOf(pids: readonly number[]): DevState {
  const plan = planDev(OPTIONS, ASHLAR)
  return {
    pid: process.pid,
    apiPort: OPTIONS.apiPort,
    nodes: plan.nodes.map((node, at) => ({ ...node, pid: pids[at] ?? 0 })),
    gateway: { ...plan.gateway, pid: pids[3] ?? 0 },
  }
}

describe('the plan of a development cluster', () => {
  it('gives each node a name, two ports, a directory, and the same list of peers', () => {
    const { nodes, gateway } = planDev(OPTIONS, ASHLAR)
    assert.deepEqual(
      nodes.map(({ id, api, peer, dataDir }) => [id, api, peer, dataDir]),
      [
        ['n1', 'http://127.0.0.1:7480', '127.0.0.1:7580', '/data/n1'],
        ['n2', 'http://127.0.0.1:7481', '127.0.0.1:7581', '/data/n2'],
        ['n3', 'http://127.0.0.1:7482', '127.0.0.1:7582', '/data/n3'],
      ],
    )
    const peers = '127.0.0.1:7580,127.0.0.1:7581,127.0.0.1:7582'
    for (const { command } of nodes) {
      assert.deepEqual(command.slice(0, 4), [...ASHLAR, 'server', 'run'])
      assert.deepEqual(command.slice(-4), ['--peers', peers, '--expect', '3'])
    }
    assert.deepEqual(gateway.command, [...ASHLAR, 'gateway', 'run', '--listen', '127.0.0.1:10809', '--peers', peers])
  })

  it('bootstraps a cluster of one node with --init', () => {
    const { nodes } = planDev({ ...OPTIONS, nodes: 1 }, ASHLAR)
    assert.equal(nodes[0]?.command.at(-1), '--init')
  })

  it('has absolute paths only, so that its commands work from anywhere', () => {
    const { nodes, gateway } = planDev({ ...OPTIONS, dataDir: 'relative' }, ASHLAR)
    for (const { dataDir, log } of nodes) assert.ok(isAbsolute(dataDir) && isAbsolute(log))
    assert.ok(isAbsolute(gateway.log))
  })

  it('is refused when ports run out', () => {
    assert.throws(() => checkDevOptions({ ...OPTIONS, apiPort: 65_434 }), /--api-port: 65434 leaves too few ports/)
    checkDevOptions({ ...OPTIONS, apiPort: 65_433 })
  })
})

describe('what dev says when everything serves', () => {
  it('is one line of JSON with the fields that scripts rely on', () => {
    const line = readyJson(stateOf([1, 2, 3, 4]), 'cluster-id')
    assert.match(line, /^[^\n]+\n$/)
    const { cluster, nodes, gateway } = JSON.parse(line)
    assert.equal(cluster, 'cluster-id')
    assert.deepEqual(Object.keys(nodes[0]), ['id', 'pid', 'api', 'peer', 'dataDir', 'command'])
    assert.deepEqual([nodes[0].id, nodes[0].pid, nodes[0].api], ['n1', 1, 'http://127.0.0.1:7480'])
    assert.deepEqual(Object.keys(gateway), ['pid', 'nbd', 'command'])
    assert.deepEqual([gateway.pid, gateway.nbd], [4, ['nbd://127.0.0.1:10809/demo']])
  })

  it('is for people what runs, what to try next, and Ready at the end', () => {
    const text = readyText(stateOf([1, 2, 3, 4]), OPTIONS)
    assert.match(text, /n2 +2 +http:\/\/127\.0\.0\.1:7481/)
    assert.match(text, /\/data\/n2 +\/data\/logs\/n2\.log/)
    assert.match(text, /npx ashlar dev stop n3 --kill --data-dir \/data /)
    assert.match(text, /npx ashlar dev logs n3 -f --data-dir \/data /)
    assert.match(readyText(stateOf([1]), { ...OPTIONS, dataDir: '.ashlar/dev' }), /npx ashlar dev stop n3 --kill {2,}/)
    assert.match(text, /\nReady\n$/)
    assert.doesNotMatch(readyText({ ...stateOf([1]), nodes: stateOf([1]).nodes.slice(0, 1) }, OPTIONS), /dev stop/)
  })
})

describe('the state of a development cluster', () => {
  it('is written whole and read back', async (t) => {
    const directory = await temporary(t)
    assert.equal(await readState(directory), undefined)
    await writeState(directory, stateOf([1, 2, 3, 4]))
    assert.deepEqual(await readState(directory), stateOf([1, 2, 3, 4]))
  })

  it('takes another process for a node or the gateway', () => {
    assert.deepEqual(withPid(stateOf([1, 2, 3, 4]), 'n2', 9), stateOf([1, 9, 3, 4]))
    assert.deepEqual(withPid(stateOf([1, 2, 3, 4]), 'gateway', 9), stateOf([1, 2, 3, 9]))
  })

  it('that is damaged is reported with what to do', async (t) => {
    const directory = await temporary(t)
    for (const text of ['{', '{}', 'null', '{"pid":1,"apiPort":7480,"nodes":[{"id":"n1"}]}']) {
      await writeFile(join(directory, 'dev.json'), text)
      await assert.rejects(readState(directory), /dev\.json is damaged/, text)
    }
  })
})

describe('processes of dev', () => {
  const script = (text: string): string[] => [process.execPath, '-e', text]
  const forever = 'setInterval(() => {}, 1000)'

  it('are known by their command, so that another process of the same number is left alone', async (t) => {
    const command = script(forever)
    const child = await startProcess({ command, log: join(await temporary(t), 'log') }, 'alone')
    const pid = child.pid ?? 0
    assert.equal(await runsCommand(pid, command), true)
    if (process.platform === 'linux') assert.equal(await runsCommand(pid, [...command, 'other']), false)
    assert.deepEqual(await endProcesses([pid], 10_000), [])
    assert.equal(await runsCommand(pid, command), false)
  })

  it('that ignore SIGTERM are killed', async (t) => {
    const log = join(await temporary(t), 'log')
    const command = script(`process.on('SIGTERM', () => {}); console.log('ashlar: ready'); ${forever}`)
    const child = await startProcess({ command, log }, 'alone')
    const pid = child.pid ?? 0
    while ((await lastWords(log)) !== 'ready') assert.ok(isAlive(pid))
    assert.deepEqual(await endProcesses([pid], 100), [pid])
    assert.equal(isAlive(pid), false)
  })

  it('get only the log level and the end with dev from the environment', async (t) => {
    const log = join(await temporary(t), 'log')
    process.env['ASHLAR_API'] = '127.0.0.1:1'
    process.env['ASHLAR_LOG_LEVEL'] = 'debug'
    t.after(() => {
      delete process.env['ASHLAR_API']
      delete process.env['ASHLAR_LOG_LEVEL']
    })
    const names = "Object.keys(process.env).filter((name) => name.startsWith('ASHLAR_')).sort().join(' ')"
    for (const [kind, expected] of [
      ['child', 'ASHLAR_LOG_LEVEL ASHLAR_STOP_WITH_INPUT'],
      ['alone', 'ASHLAR_LOG_LEVEL'],
    ] as const) {
      const child = await startProcess({ command: script(`console.log('ashlar: ' + ${names})`), log }, kind)
      await new Promise((resolve) => child.once('exit', resolve))
      assert.equal(await lastWords(log), expected)
    }
  })

  it('leave the reason of their end in their log', async (t) => {
    const log = join(await temporary(t), 'log')
    const command = script("console.log('{}'); console.error('ashlar: port 1 is in use'); process.exit(4)")
    const child = await startProcess({ command, log }, 'child')
    await new Promise((resolve) => child.once('exit', resolve))
    assert.equal(child.exitCode, 4)
    assert.equal(await lastWords(log), 'port 1 is in use')
  })
})

describe('ports', () => {
  it('in use are named with who wants them and what to change', async (t) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const wanted = { address, who: 'the API of n1', flag: '--api-port' }
    await assert.rejects(checkPorts([wanted]), {
      ...{ code: 'CONFLICT', message: `${address}, the API of n1, is in use` },
      hint: 'stop what uses it, or give another --api-port',
    })
  })

  it('that are unused, and sockets without a listener, are free', async (t) => {
    const path = join(await temporary(t), 'stale.sock')
    await writeFile(path, '')
    await checkPorts([{ address: `unix:${path}`, who: 'NBD', flag: '--nbd' }])
  })

  it('answer NBD only when an NBD server greets', async (t) => {
    const greeting = { text: 'NBDMAGICIHAVEOPT' }
    const server = createServer((socket) => socket.end(greeting.text))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    assert.equal(await answersNbd(address, 5000), true)
    greeting.text = 'SSH-2.0'
    assert.equal(await answersNbd(address, 5000), false)
    assert.equal(await answersNbd('127.0.0.1:1', 5000), false)
  })
})
