import assert from 'node:assert/strict'
import { test } from 'node:test'
import { run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'
import { GATEWAY, GatewayProcess, nbdsh } from './gateway-process.ts'

const MEMORY = ['--backend', 'memory', '--log-level', 'info']
const MIB = 1024 * 1024

/** A list of Python that starts a gateway. */
function command(...args: readonly string[]): string {
  return JSON.stringify([...GATEWAY, ...args])
}

const WRITE_AND_READ = `
h.pwrite(b"x" * 1000, 100)
h.flush()
assert h.pread(1002, 99) == b"\\0" + b"x" * 1000 + b"\\0"
h.pwrite(b"y" * (32 << 20), 512)
assert h.pread(32 << 20, 512) == b"y" * (32 << 20)
print(h.get_size())
h.shutdown()
`

test('a gateway takes a listening socket over by socket activation', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  const args = command(...MEMORY, '--size', '64Mi')
  const out = await nbdsh(`h.set_export_name("demo")\nh.connect_systemd_socket_activation(${args})\n${WRITE_AND_READ}`)
  assert.equal(Number(out), 64 * MIB)
})

test('a gateway serves one client on standard input and output, a socket or two pipes, and ends with it', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  const args = command('--stdio', ...MEMORY, '--size', '64Mi', '--export', 'disk')
  const out = await nbdsh(`h.set_export_name("disk")\nh.connect_command(${args})\n${WRITE_AND_READ}`)
  assert.equal(Number(out), 64 * MIB)
  const [program = '', ...rest] = [...GATEWAY, '--stdio', ...MEMORY]
  const abort = Buffer.from('\0\0\0\x03IHAVEOPT\0\0\0\x02\0\0\0\0', 'latin1')
  const piped = await run('sh', ['-c', '"$@" | cat', 'sh', program, ...rest], { input: abort, timeoutMs: 30_000 })
  assert.equal(piped.code, 0)
  assert.ok(piped.stdout.startsWith('NBDMAGICIHAVEOPT'))
  // The log is on standard error: standard output is the client's alone.
  assert.doesNotMatch(piped.stdout, /"msg"/)
  assert.match(piped.stderr, /"msg":"stopped"/)
})

test('standard input and output that are no connection are refused, and so are options that contradict each other', async () => {
  const [program = '', ...rest] = GATEWAY
  const gateway = (...args: readonly string[]) => run(program, [...rest, ...args], { timeoutMs: 30_000 })
  const onFile = await run('sh', ['-c', '"$@" < /dev/null', 'sh', program, ...rest, '--stdio', ...MEMORY])
  assert.equal(onFile.code, 2)
  assert.match(onFile.stderr, /--stdio: standard input and output are not connected to a client/)
  for (const [args, message] of [
    [['--stdio', '--listen', '127.0.0.1:0'], /--stdio and --listen exclude each other/],
    [['--read-only', '--shared'], /--read-only and --shared exclude each other/],
    [['--size', '1Gi'], /--size is for --backend memory/],
    [['--backend', 'disk'], /--backend: .*cluster.*memory/],
  ] as const) {
    const { code, stderr } = await gateway(...args)
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, message)
  }
})

test('disks in memory are exports of their own, and keep their content while the gateway runs', async (t) => {
  if (!requireTool(t, 'nbdsh', 'nbdinfo')) return
  const gateway = await GatewayProcess.start(...MEMORY, '--export', 'a,b', '--size', '1Mi')
  try {
    await nbdsh(`h.connect_uri("${gateway.export('a')}")\nh.pwrite(b"kept", 0)\nh.shutdown()`)
    await nbdsh(`h.connect_uri("${gateway.export('a')}")\nassert h.pread(4, 0) == b"kept"\nh.shutdown()`)
    await nbdsh(`h.connect_uri("${gateway.export('b')}")\nassert h.pread(4, 0) == b"\\0" * 4\nh.shutdown()`)
    const { stdout } = await run('nbdinfo', ['--list', '--json', gateway.uri])
    const { exports } = JSON.parse(stdout) as { exports: { 'export-name': string; 'export-size': number }[] }
    assert.deepEqual(
      exports.map((item) => [item['export-name'], item['export-size']]),
      [
        ['a', MIB],
        ['b', MIB],
      ],
    )
  } finally {
    assert.equal(await gateway.stop(), 0)
  }
})

test('nbd 35: a read-only gateway says so, and refuses every change of a client that does not listen', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  const gateway = await GatewayProcess.start(...MEMORY, '--read-only', '--size', '1Mi')
  try {
    await nbdsh(`
import errno
h.set_strict_mode(0)
h.connect_uri("${gateway.export('demo')}")
assert h.is_read_only()
for change in (lambda: h.pwrite(b"x" * 512, 0), lambda: h.trim(4096, 0), lambda: h.zero(4096, 0)):
    try:
        change()
        raise AssertionError("a change was accepted")
    except nbd.Error as error:
        assert error.errnum == errno.EPERM, error
assert h.pread(512, 0) == b"\\0" * 512
h.shutdown()
`)
  } finally {
    await gateway.stop()
  }
})
