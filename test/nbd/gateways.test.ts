import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually, run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'
import { GATEWAY, GatewayProcess, nbdsh } from './gateway-process.ts'

/** Several gateways in front of one cluster, and gateways that die and come back. */

const MIB = 1024 * 1024

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start()
})
/** Clients of a test that failed would keep this process alive. */
const clients = new Set<Client>()
after(async () => {
  for (const client of clients) client.kill()
  await cluster?.stop()
})

/** A gateway of this cluster; the tests stop what they start. */
function gateway(...args: readonly string[]): Promise<GatewayProcess> {
  const peers = cluster.info.nodes.map(({ peer }) => peer).join(',')
  return GatewayProcess.start('--peers', peers, ...args)
}

async function withGateways(
  starts: readonly (readonly string[])[],
  use: (...gateways: GatewayProcess[]) => Promise<void>,
): Promise<void> {
  const gateways = await Promise.all(starts.map((args) => gateway(...args)))
  try {
    await use(...gateways)
  } finally {
    for (const each of gateways) await each.stop()
  }
}

async function create(name: string, size = '16Mi'): Promise<void> {
  const { code, stderr } = await cluster.cli(['volume', 'create', name, '--size', size])
  assert.equal(code, 0, stderr)
}

function write(uri: string, text: string, offset = 0): Promise<string> {
  return nbdsh(`h.connect_uri("${uri}")\nh.pwrite(b"${text}", ${offset})\nh.flush()\nh.shutdown()`)
}

async function read(uri: string, length: number, offset = 0): Promise<string> {
  return (await nbdsh(`h.connect_uri("${uri}")\nprint(h.pread(${length}, ${offset}).decode())\nh.shutdown()`)).trim()
}

/** A libnbd client that goes on while the test does something else. It says what it did, line by line. */
class Client {
  readonly #child: ChildProcess
  #output = ''
  #code: number | null | undefined

  constructor(program: string, args: readonly string[]) {
    const env = { ...process.env, PATH: `/usr/bin:${process.env['PATH'] ?? ''}` }
    this.#child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (text) => {
        this.#output += text
      })
    }
    this.#child.once('exit', (code) => {
      this.#code = code
      clients.delete(this)
    })
    clients.add(this)
  }

  async says(pattern: RegExp): Promise<void> {
    await eventually(`${pattern} in ${this.#output}`, async () => {
      if (pattern.test(this.#output)) return true
      assert.equal(this.#code, undefined, `the client has ended: ${this.#output}`)
      return undefined
    })
  }

  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  async ends(): Promise<number | null> {
    this.#child.stdin?.end()
    const { code } = await eventually(`the client ends: ${this.#output}`, async () =>
      this.#code === undefined ? undefined : { code: this.#code },
    )
    return code
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/** A connection that stays open and writes the next byte value with each line that it is sent. */
function holder(uri: string): Client {
  const script = `
import sys
h.connect_uri("${uri}")
for value, line in enumerate(sys.stdin, 1):
    h.pwrite(bytes([value]) * 512, 512 * value)
    print("wrote", value, h.get_size(), flush=True)
print("read", h.pread(1, 512)[0], flush=True)
`
  return new Client('nbdsh', ['-c', script])
}

test('the clients in the help of a gateway start one, and have standard output for themselves', async (t) => {
  if (!requireTool(t, 'nbdsh', 'nbdinfo')) return
  const { stdout: help } = await cluster.cli(['gateway', 'run', '--help'])
  const examples = [...help.matchAll(/^ *\$ (nbd.*)$/gm)].map(([, example = '']) => example)
  const bin = await mkdtemp(join(tmpdir(), 'ashlar-bin-'))
  try {
    await writeFile(join(bin, 'ashlar'), `#!/bin/sh\nexec ${GATEWAY.slice(0, 2).join(' ')} "$@"\n`, { mode: 0o755 })
    const env = {
      PATH: `${bin}:/usr/bin:${process.env['PATH'] ?? ''}`,
      ASHLAR_SERVER: cluster.info.nodes[0]?.api ?? '',
    }
    const printed: string[] = []
    for (const example of examples) {
      const { code, stdout, stderr } = await run('sh', ['-c', example], { env })
      assert.equal(code, 0, `${example}\n${stderr}`)
      printed.push(stdout)
    }
    assert.equal(printed.length, 2)
    assert.match(printed[0] ?? '', /^protocol: [^{]*export-size: 1073741824 [^{]*$/)
    assert.match(printed[1] ?? '', /^\d+\n$/)
  } finally {
    await rm(bin, { recursive: true, force: true })
  }
})

test('gateways serve different volumes side by side, each in front of any node', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await create('left')
  await create('right')
  const [first, , last] = cluster.info.nodes
  const starts = [
    ['--export', 'left', '--peers', first?.peer ?? ''],
    ['--export', 'right', '--peers', last?.peer ?? ''],
  ]
  await withGateways(starts, async (left, right) => {
    const [one, two] = [holder(left?.export('left') ?? ''), holder(right?.export('right') ?? '')]
    for (const client of [one, two]) client.send('')
    for (const client of [one, two]) await client.says(/wrote 1/)
    for (const client of [one, two]) assert.equal(await client.ends(), 0)
    const wrong = await run('nbdinfo', [left?.export('right') ?? ''])
    assert.notEqual(wrong.code, 0, 'a volume that is not served is not there')
  })
})

test('nbd 42, 105: gateways that share a volume read what each other was answered, and offer several connections', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await create('common')
  const shared = ['--shared', '--export', 'common']
  await withGateways([shared, shared], async (one, two) => {
    const [first, second] = [one?.export('common') ?? '', two?.export('common') ?? '']
    const held = holder(first)
    held.send('')
    await held.says(/wrote 1/)
    for (let round = 0; round < 3; round++) {
      await write(second, `second ${round}`, 8192)
      assert.equal(await read(first, 8, 8192), `second ${round}`)
      await write(first, `first ${round}`, 8192)
      assert.equal(await read(second, 7, 8192), `first ${round}`)
    }
    held.send('')
    await held.says(/wrote 2/)
    assert.equal(await held.ends(), 0, 'no client was fenced')
    await nbdsh(`h.connect_uri("${second}")\nassert h.can_multi_conn()\nh.shutdown()`)
  })
})

test('a second gateway with --take-over takes an open volume: the first one closes its connections and exits 4', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await create('taken')
  await withGateways(
    [
      ['--export', 'taken'],
      ['--export', 'taken', '--take-over'],
    ],
    async (first, second) => {
      const held = holder(first?.export('taken') ?? '')
      held.send('')
      await held.says(/wrote 1/)
      await write(second?.export('taken') ?? '', 'mine now', 4096)
      assert.equal(await first?.ended, 4)
      assert.match(first?.output ?? '', /export taken is lost/)
      held.send('')
      assert.notEqual(await held.ends(), 0)
      assert.equal(await read(second?.export('taken') ?? '', 8, 4096), 'mine now')
    },
  )
})

test('a gateway that shares a volume is fenced by one without --shared that takes it over', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await create('mixed')
  await withGateways(
    [
      ['--shared', '--export', 'mixed'],
      ['--export', 'mixed', '--take-over'],
    ],
    async (sharing, alone) => {
      const held = holder(sharing?.export('mixed') ?? '')
      held.send('')
      await held.says(/wrote 1/)
      await write(alone?.export('mixed') ?? '', 'alone', 4096)
      assert.equal(await sharing?.ended, 4)
      held.kill()
    },
  )
})

test('read-only gateways show acknowledged writes, and fence no client', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await create('watched')
  const watch = ['--read-only', '--export', 'watched']
  await withGateways([['--export', 'watched'], watch, watch], async (writer, ...watchers) => {
    const held = holder(writer?.export('watched') ?? '')
    for (let value = 1; value <= 3; value++) {
      held.send('')
      await held.says(new RegExp(`wrote ${value} `))
      for (const watcher of watchers) {
        const seen = `h.connect_uri("${watcher.export('watched')}")\nprint(h.is_read_only(), h.pread(1, ${512 * value})[0])`
        assert.equal((await nbdsh(seen)).trim(), `True ${value}`)
      }
    }
    assert.equal(await held.ends(), 0)
  })
})

test('a volume made while a gateway runs is served; one that is removed ends its connections and nothing else', async (t) => {
  if (!requireTool(t, 'nbdsh', 'nbdinfo')) return
  await create('stays')
  await withGateways([['--read-only']], async (watcher) => {
    const uri = (name: string): string => watcher?.export(name) ?? ''
    assert.notEqual((await run('nbdinfo', ['--size', uri('comes')])).code, 0)
    await create('comes', '16Mi')
    const script = (name: string): string =>
      `
import sys
h.connect_uri("${uri(name)}")
for line in sys.stdin:
    print(name, len(h.pread(1, h.get_size() - 1)), h.get_size(), flush=True)
`.replace('name,', `"${name}",`)
    const [going, staying] = [
      new Client('nbdsh', ['-c', script('comes')]),
      new Client('nbdsh', ['-c', script('stays')]),
    ]
    for (const client of [going, staying]) client.send('')
    await going.says(/comes 1 16777216/)
    await staying.says(/stays 1 16777216/)
    assert.equal((await cluster.cli(['volume', 'rm', 'comes'])).code, 0)
    await eventually('the export is removed', async () =>
      (await run('nbdinfo', ['--size', uri('comes')])).code !== 0 ? true : undefined,
    )
    going.send('')
    assert.notEqual(await going.ends(), 0, 'the connection to what is removed is over')
    await create('comes', '32Mi')
    assert.equal((await run('nbdinfo', ['--size', uri('comes')])).stdout.trim(), String(32 * MIB))
    staying.send('')
    assert.equal(await staying.ends(), 0)
  })
})

test('a gateway that was killed serves again, when it is back, to nbdkit with its retry filter', async (t) => {
  if (!requireTool(t, 'nbdsh', 'nbdkit')) return
  await create('retried')
  const first = await gateway('--export', 'retried', '--name', 'retried')
  const script = `
import os, sys
h.connect_uri(os.environ["uri"])
for value, line in enumerate(sys.stdin, 1):
    h.pwrite(bytes([value]) * 4096, 4096 * value)
    print("wrote", value, flush=True)
assert h.pread(8192, 4096) == bytes([1]) * 4096 + bytes([2]) * 4096
h.shutdown()
`
  const retry = ['--filter=retry', 'nbd', `uri=${first.export('retried')}`]
  const options = ['retry-delay=1', 'retry-exponential=no', 'retries=60']
  const nbdkit = ['-U', '-', ...retry, ...options, '--run', `uri="$uri" nbdsh -c '${script}'`]
  const client = new Client('nbdkit', nbdkit)
  try {
    client.send('')
    await client.says(/wrote 1/)
    await first.stop('SIGKILL')
    client.send('')
    const again = await gateway('--export', 'retried', '--name', 'retried', '--listen', first.address)
    try {
      await client.says(/wrote 2/)
      assert.equal(await client.ends(), 0)
    } finally {
      await again.stop()
    }
  } finally {
    client.kill()
  }
})

test('a gateway that was killed serves again, when it is back, to qemu with its reconnect-delay', async (t) => {
  if (!requireTool(t, 'qemu-io')) return
  await create('redialled')
  const first = await gateway('--export', 'redialled', '--name', 'redialled')
  const [host = '', port = ''] = first.address.split(':')
  const server = `driver=nbd,server.type=inet,server.host=${host},server.port=${port},export=redialled`
  const client = new Client('qemu-io', ['--image-opts', `${server},reconnect-delay=60`])
  try {
    client.send('write -P 1 4k 4k')
    await client.says(/wrote 4096\/4096 bytes at offset 4096/)
    await first.stop('SIGKILL')
    client.send('write -P 2 8k 4k')
    const again = await gateway('--export', 'redialled', '--name', 'redialled', '--listen', first.address)
    try {
      await client.says(/wrote 4096\/4096 bytes at offset 8192/)
      client.send('read -P 1 4k 4k')
      await client.says(/read 4096\/4096 bytes at offset 4096/)
      client.send('read -P 2 8k 4k')
      await client.says(/read 4096\/4096 bytes at offset 8192/)
      client.send('quit')
      assert.equal(await client.ends(), 0)
    } finally {
      await again.stop()
    }
  } finally {
    client.kill()
  }
})

/** The node that is killed, by what that leaves. Of three nodes two are a quorum, for control and for a write. */
const OUTAGES = [
  { what: 'while no node is there', killed: 3 },
  { what: 'while the one node that is there has no quorum', killed: 2 },
]

for (const { what, killed } of OUTAGES) {
  test(`${what} a request waits for --io-timeout, then fails with EIO; later ones succeed again`, {
    timeout: longest(240_000),
  }, async (t) => {
    if (!requireTool(t, 'nbdsh')) return
    const name = `patient-${killed}`
    await create(name)
    await withGateways([['--export', name, '--io-timeout', '3s']], async (only) => {
      const uri = only?.export(name) ?? ''
      // The primary has to get its lease first, when the volume is new and when nodes are back; and a write that may
      // still land keeps its block until the cluster says how it ended.
      const takesWrites = () => eventually('the volume takes writes', () => write(uri, 'again'))
      await takesWrites()
      const client = new Client('nbdsh', ['-c', timedWritesAndReads(uri)])
      client.send('')
      await client.says(/read done/)
      const nodes = cluster.info.nodes.map(({ id }) => id).slice(0, killed)
      for (const id of nodes) await cluster.kill(id)
      client.send('')
      await client.says(/write EIO (3|[4-9])\.\d\nread EIO (3|[4-9])\.\d/)
      for (const id of nodes) cluster.start(id)
      await cluster.healthy(name)
      await takesWrites()
      client.send('')
      await client.says(/read EIO.*\nwrite done\nread done/)
      assert.equal(await client.ends(), 0)
    })
  })
}

/**
 * A connection that writes and reads with each line that it is sent, and says how that ended, and after how long if
 * badly.
 */
function timedWritesAndReads(uri: string): string {
  return `
import sys, time
h.connect_uri("${uri}")
for line in sys.stdin:
    for what, call in (("write", lambda: h.pwrite(b"x" * 4096, 0)), ("read", lambda: h.pread(4096, 0))):
        begun = time.monotonic()
        try:
            call()
            print(what, "done", flush=True)
        except nbd.Error as error:
            print(what, error.errno, round(time.monotonic() - begun, 1), flush=True)
print("end", flush=True)
`
}
