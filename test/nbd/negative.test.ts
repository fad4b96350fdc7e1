import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deviceExports, MemoryDevice, type NbdServer, serveNbd } from '@ashlar/client/nbd'
import { requireTool } from '../kit/tools.ts'
import { nbdsh } from './gateway-process.ts'

/** Requests that no client should make, made by libnbd with its checks off. After each the connection goes on. */

const MIB = 1024 * 1024
const SIZE = 64 * MIB + 4096

let server: NbdServer
before(async () => {
  const names = ['vol', 'other', 'ro']
  const exports = names.map((name) => ({
    name,
    device: new MemoryDevice({ sizeBytes: SIZE, readOnly: name === 'ro' }),
  }))
  server = await serveNbd(deviceExports(exports), { listen: '127.0.0.1:0' })
})
after(() => server?.close())

/** Runs the body with `fails(errno, call)`, and proves afterwards that the connection is in step. */
async function negative(body: string, name = 'vol', connect = true): Promise<void> {
  await nbdsh(`
from errno import *
def fails(expected, call):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum == expected, (expected, error)
        return
    raise AssertionError("this should have failed with %d" % expected)
h.set_strict_mode(0)
size = ${SIZE}
host, port = "127.0.0.1", "${(server.addresses[0] as { port: number }).port}"
h.add_meta_context("base:allocation")
h.set_export_name("${name}")
${connect ? 'h.connect_tcp(host, port)' : 'h.set_opt_mode(True)\nh.connect_tcp(host, port)'}
${body}
if h.aio_is_ready():
    assert len(h.pread(4096, 0)) == 4096
    h.shutdown()
`)
}

test('nbd 51, 58: libnbd without checks gets the error of a range past the end', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await negative(`
for offset, length in ((size, 1), (size - 1, 2), (size + 1, 1), (2**63 - 512, 512), (2**64 - 1, 2)):
    fails(EINVAL, lambda: h.pread(length, offset))
    fails(ENOSPC, lambda: h.pwrite(b"x" * length, offset))
    fails(EINVAL, lambda: h.trim(length, offset))
    fails(ENOSPC, lambda: h.zero(length, offset))
    fails(EINVAL, lambda: h.cache(length, offset))
    fails(EINVAL, lambda: h.block_status(length, offset, lambda *args: 0))
`)
})

test('nbd 52: libnbd without checks gets EINVAL for length zero', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await negative(`
for call in (lambda: h.trim(0, 0), lambda: h.zero(0, 0), lambda: h.cache(0, 0), lambda: h.pwrite(b"", 0)):
    fails(EINVAL, call)
fails(EINVAL, lambda: h.block_status(0, 0, lambda *args: 0))
`)
})

test('nbd 54, 55: libnbd without checks gets EINVAL for flags that do not belong to the command', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await negative(`
DF, FUA, NO_HOLE, REQ_ONE, FAST = nbd.CMD_FLAG_DF, nbd.CMD_FLAG_FUA, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_REQ_ONE, nbd.CMD_FLAG_FAST_ZERO
for flag in (DF, NO_HOLE, REQ_ONE, FAST, 1 << 15):
    fails(EINVAL, lambda: h.pwrite(b"x" * 4096, 0, flag))
    fails(EINVAL, lambda: h.trim(4096, 0, flag))
    fails(EINVAL, lambda: h.flush(flag))
    fails(EINVAL, lambda: h.cache(4096, 0, flag))
for flag in (NO_HOLE, REQ_ONE, FAST, 1 << 15):
    fails(EINVAL, lambda: h.pread(4096, 0, flag))
fails(EINVAL, lambda: h.zero(4096, 0, REQ_ONE))
fails(EINVAL, lambda: h.block_status(4096, 0, lambda *args: 0, DF))
h.pwrite(b"y" * 4096, 0, FUA)
h.zero(4096, 4096, NO_HOLE | FAST | FUA)
h.flush(FUA)
assert h.pread(4096, 0, DF | FUA) == b"y" * 4096
`)
})

test('nbd 60, 61: libnbd without checks may ask for more than the largest payload, and goes on after the refusal', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await negative(`
more = (32 << 20) + 1
fails(EINVAL, lambda: h.pread(more, 0))
fails(EINVAL, lambda: h.pwrite(bytes(more), 0))
h.zero(size, 0)
h.trim(size, 0)
h.cache(size, 0)
`)
})

test('nbd 59: libnbd without checks cannot change a read-only export', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await negative(
    `
for call in (lambda: h.pwrite(b"x" * 512, 0), lambda: h.trim(4096, 0), lambda: h.zero(4096, 0)):
    fails(EPERM, call)
h.flush()
`,
    'ro',
  )
})

test('nbd 23, 24, 25, 28: libnbd tries names, lists contexts and aborts in the order that it likes', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await negative(
    `
names = []
assert h.opt_list(lambda name, description: names.append(name) or 0) == 3
assert names == ["vol", "other", "ro"]
h.set_export_name("nope")
fails(ENOENT, lambda: h.opt_info())
fails(ENOENT, lambda: h.opt_go())
h.set_export_name("ro")
h.opt_info()
assert h.get_size() == size and h.is_read_only()
contexts = []
h.clear_meta_contexts()
h.opt_list_meta_context(lambda name: contexts.append(name) or 0)
h.add_meta_context("base:")
h.opt_list_meta_context(lambda name: contexts.append(name) or 0)
h.clear_meta_contexts()
h.add_meta_context("x-other:thing")
h.opt_list_meta_context(lambda name: contexts.append(name) or 0)
assert contexts == ["base:allocation"] * 2, contexts
h.clear_meta_contexts()
h.add_meta_context("base:allocation")
h.set_export_name("vol")
h.opt_info()
h.opt_go()
assert not h.is_read_only() and h.can_meta_context("base:allocation")
`,
    'vol',
    false,
  )
  await negative('h.opt_abort()\nassert h.aio_is_closed()', 'vol', false)
})

test('nbd 76: libnbd without a context gets EINVAL for block status', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  await nbdsh(`
import errno
h.set_strict_mode(0)
h.connect_uri("${server.addresses[0]?.uri}/vol")
try:
    h.block_status(4096, 0, lambda *args: 0)
    raise AssertionError("answered without a context")
except nbd.Error as error:
    assert error.errnum in (errno.EINVAL, errno.ENOTSUP), error
assert len(h.pread(512, 0)) == 512
h.shutdown()
`)
  assert.ok(server.connections >= 0)
})
