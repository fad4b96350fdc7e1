/**
 * Records what real clients send in one small session each, for the fuzz tests of the protocol:
 * `node --conditions=ashlar-source test/nbd/bin/record-sessions.ts`. The fixtures are what was recorded once; other
 * versions of the clients send other bytes, and recording again is worth it only to add a client.
 */
import { writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { deviceExports, MemoryDevice, serveNbd } from '@ashlar/client/nbd'
import { type RunResult, run } from '../../kit/dev-cluster.ts'

const FIXTURES = fileURLToPath(new URL('../../../packages/client/test/nbd/fixtures', import.meta.url))
const MIB = 1024 * 1024

const LIBNBD = `
h.set_strict_mode(0)
h.add_meta_context("base:allocation")
h.set_export_name("vol")
h.set_opt_mode(True)
h.connect_tcp("127.0.0.1", "PORT")
h.opt_list(lambda name, description: 0)
h.opt_info()
h.opt_list_meta_context(lambda name: 0)
h.opt_go()
h.pwrite(b"libnbd" * 20, 1000)
h.pread(4096, 0)
h.pwrite(b"f" * 512, 4096, nbd.CMD_FLAG_FUA)
h.zero(8192, 8192, nbd.CMD_FLAG_NO_HOLE)
h.trim(4096, 4096)
h.cache(4096, 0)
h.block_status(1 << 20, 0, lambda *args: 0)
h.pread(512, 0, nbd.CMD_FLAG_DF)
h.flush()
h.shutdown()
`

const CLIENTS: Readonly<Record<string, (port: number) => Promise<RunResult>>> = {
  libnbd: (port) => run('nbdsh', ['-c', '-'], { input: LIBNBD.replace('PORT', `${port}`), env: { PATH: '/usr/bin' } }),
  qemu: (port) => {
    const commands = [
      'write -P 1 512 512',
      'write -f -P 2 4k 512',
      'write -z 8k 4k',
      'discard 16k 4k',
      'flush',
      'read 0 4k',
    ]
    const args = commands.flatMap((command) => ['-c', command])
    return run('qemu-io', ['-f', 'raw', ...args, `nbd://127.0.0.1:${port}/vol`])
  },
  fio: (port) =>
    run('fio', [
      ...['--name=session', '--ioengine=nbd', `--uri=nbd://127.0.0.1:${port}/vol`, '--rw=randrw', '--bs=512'],
      ...['--size=2k', '--iodepth=4', '--fsync=2', '--randseed=1'],
    ]),
}

const device = new MemoryDevice({ sizeBytes: MIB })
await using server = await serveNbd(deviceExports([{ name: 'vol', device }]), { listen: '127.0.0.1:0' })
const target = server.addresses[0] as { port: number }

for (const [name, client] of Object.entries(CLIENTS)) {
  const sessions: Buffer[][] = []
  const proxy = createServer((socket: Socket) => {
    const session: Buffer[] = []
    sessions.push(session)
    const upstream = connect(target.port, '127.0.0.1')
    socket.on('data', (bytes) => session.push(bytes as Buffer))
    socket.pipe(upstream).pipe(socket)
    for (const end of [socket, upstream]) end.on('error', () => end.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const { code, stderr } = await client((proxy.address() as { port: number }).port)
  if (code !== 0) throw new Error(`${name} failed: ${stderr}`)
  proxy.close()
  // A client may look around on a first connection: the longest one is the session.
  const longest = sessions.map((parts) => Buffer.concat(parts)).sort((a, b) => b.length - a.length)[0]
  if (longest === undefined || longest.length < 100) throw new Error(`${name} did not talk: is it installed?`)
  await writeFile(`${FIXTURES}/${name}.bin`, longest)
  process.stdout.write(`${name}: ${longest.length} bytes\n`)
}
