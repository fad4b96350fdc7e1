import assert from 'node:assert/strict'
import { join } from 'node:path'
import { digest, IMAGE_BYTES, makeImage, type NbdTarget, qemuIo, type Scenario, succeed } from './client-runs.ts'
import { nbdsh } from './gateway-process.ts'

const MIB = 1024 * 1024

/** Copies an image in and out through nbdkit with filters, and finds the same bytes. */
async function copyThrough(
  target: NbdTarget,
  directory: string,
  filters: readonly string[],
  options: readonly string[],
) {
  const image = await makeImage(join(directory, 'in.img'))
  const back = join(directory, 'out.img')
  const filtered = ['-U', '-', ...filters.map((filter) => `--filter=${filter}`), 'nbd', `uri=${target.uri}`, ...options]
  await succeed('nbdkit', [...filtered, '--run', `nbdcopy --flush '${image}' "$uri"`])
  await succeed('nbdkit', [...filtered, '--run', `nbdcopy "$uri" '${back}'`])
  assert.equal(await digest(back, IMAGE_BYTES), await digest(image, IMAGE_BYTES))
}

/** Clients behind filters of nbdkit. */
export const FILTER_SCENARIOS: readonly Scenario[] = [
  {
    name: 'a copy through nbdkit that cuts requests to other block sizes comes out the same',
    tools: ['nbdkit', 'nbdcopy'],
    run: (target, directory) => copyThrough(target, directory, ['blocksize'], ['minblock=4096', 'maxdata=65536']),
  },
  {
    name: 'a copy through nbdkit that fails one of fifty requests and tries them again comes out the same',
    tools: ['nbdkit', 'nbdcopy'],
    run: (target, directory) =>
      copyThrough(
        target,
        directory,
        ['retry-request', 'error'],
        ['error-rate=2%', 'retry-request-retries=20', 'retry-request-delay=1'],
      ),
  },
  {
    name: 'a copy through nbdkit that delays requests, so that they overtake each other, comes out the same',
    tools: ['nbdkit', 'nbdcopy'],
    run: (target, directory) => copyThrough(target, directory, ['delay'], ['rdelay=5ms', 'wdelay=5ms']),
  },
]

/** Requests of unusual size, place and number. */
export const REQUEST_SCENARIOS: readonly Scenario[] = [
  {
    name: 'requests of 32 MiB at any offset, the largest size announced, are executed whole',
    tools: ['nbdsh'],
    async run(target) {
      await nbdsh(`
import random
h.connect_uri("${target.uri}")
largest = h.get_block_size(nbd.SIZE_MAXIMUM)
assert largest == 32 << 20, largest
for offset in (4095, ${target.sizeBytes - 32 * MIB}):
    data = random.Random(offset).randbytes(largest)
    h.pwrite(data, offset)
    assert h.pread(largest, offset) == data, offset
h.zero(largest, 1)
assert h.pread(largest, 1) == bytes(largest)
h.shutdown()
`)
    },
  },
  {
    name: 'sixteen connections of 256 requests in flight each write and read every byte of their part',
    tools: ['nbdsh'],
    async run(target) {
      await nbdsh(`
handles = []
for at in range(16):
    one = nbd.NBD()
    one.connect_uri("${target.uri}")
    handles.append(one)

def each(call):
    for at, one in enumerate(handles):
        for slot in range(256):
            call(one, (at * 256 + slot) * 8192, at, slot)
    for one in handles:
        while one.aio_in_flight() > 0:
            one.poll(-1)

buffers = {}
def write(one, offset, at, slot):
    one.aio_pwrite(bytes([(at * 7 + slot) % 251 + 1]) * 8192, offset)
def read(one, offset, at, slot):
    buffers[offset] = nbd.Buffer(8192)
    one.aio_pread(buffers[offset], offset)

each(write)
each(read)
for offset, buffer in buffers.items():
    at, slot = divmod(offset // 8192, 256)
    assert buffer.to_bytearray() == bytes([(at * 7 + slot) % 251 + 1]) * 8192, offset
for one in handles:
    one.shutdown()
`)
    },
  },
  {
    name: 'requests that begin and end inside blocks leave their neighbours as they were',
    tools: ['qemu-io'],
    async run(target) {
      const commands = ['write -P 0x55 0 1M']
      let expected = 0x60
      for (const offset of [4095, 8191, 12_289, 65_535, 131_071]) {
        for (const length of [1, 2, 511, 4097, 8193]) {
          expected++
          commands.push(`write -P ${expected} ${offset} ${length}`, `read -P ${expected} ${offset} ${length}`)
          commands.push(`read -P 0x55 ${offset + length} 512`, `write -P 0x55 ${offset} ${length}`)
          commands.push(`write -z ${offset} ${length}`, `read -P 0 ${offset} ${length}`)
          commands.push(`read -P 0x55 ${offset - 512} 512`, `write -P 0x55 ${offset} ${length}`)
        }
      }
      await qemuIo(target, commands)
    },
  },
]
