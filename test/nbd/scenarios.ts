import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'
import { digest, IMAGE_BYTES, makeImage, type NbdTarget, qemuIo, type Scenario, succeed } from './client-runs.ts'

export type { NbdTarget }

const MIB = 1024 * 1024

/** Runs a scenario in a directory of its own, unless its programs are missing. */
export async function runScenario(test: TestContext, scenario: Scenario, target: NbdTarget): Promise<void> {
  if (!requireTool(test, ...scenario.tools)) return
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-nbd-'))
  try {
    await scenario.run(target, directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'nbdinfo prints size and abilities of the export',
    tools: ['nbdinfo'],
    async run(target) {
      const { stdout } = await succeed('nbdinfo', ['--json', target.uri])
      const [info] = (JSON.parse(stdout) as { exports: Record<string, unknown>[] }).exports
      assert.equal(info?.['export-size'], target.sizeBytes)
      for (const ability of ['can_flush', 'can_fua', 'can_trim', 'can_zero', 'can_df', 'can_multi_conn']) {
        assert.equal(info?.[ability], true, ability)
      }
      assert.equal(info?.['is_read_only'], false)
      assert.equal(info?.['block_size_minimum'], 1)
      assert.deepEqual(info?.['contexts'], ['base:allocation'])
    },
  },
  {
    name: 'nbdinfo lists the export, and says that another one is not there',
    tools: ['nbdinfo'],
    async run(target) {
      const name = new URL(target.uri).pathname.slice(1)
      const server = target.uri.replace(`/${name}`, '/')
      const { stdout } = await succeed('nbdinfo', ['--list', '--json', server])
      const { exports } = JSON.parse(stdout) as { exports: { 'export-name': string }[] }
      assert.ok(exports.some((item) => item['export-name'] === name))
      const missing = await run('nbdinfo', [target.uri.replace(`/${name}`, '/no-such-export')])
      assert.notEqual(missing.code, 0)
      assert.match(missing.stderr, /No such file or directory.*no-such-export/)
    },
  },
  {
    name: 'nbdcopy puts an image in over eight connections and gets the same bytes out',
    tools: ['nbdcopy'],
    async run(target, directory) {
      const image = await makeImage(join(directory, 'in.img'))
      await succeed('nbdcopy', ['-C', '8', '-R', '64', '--request-size=1048576', '--flush', image, target.uri])
      const back = join(directory, 'out.img')
      await succeed('nbdcopy', ['-C', '8', '-R', '64', target.uri, back])
      assert.equal((await stat(back)).size, target.sizeBytes)
      assert.equal(await digest(back, IMAGE_BYTES), await digest(image, IMAGE_BYTES))
    },
  },
  {
    name: 'nbdinfo maps what was written as data and what was trimmed as holes that read as zeroes',
    tools: ['nbdinfo', 'qemu-io'],
    async run(target) {
      await qemuIo(target, ['discard 0 64M', 'write -P 0x11 1M 64k', 'write -P 0x11 32M 1M', 'flush'])
      const { stdout } = await succeed('nbdinfo', ['--map', '--json', target.uri])
      const map = JSON.parse(stdout) as { offset: number; length: number; type: number }[]
      const data = map.filter((run) => run.type === 0 && run.offset < 64 * MIB)
      assert.deepEqual(
        data.map(({ offset, length }) => [offset, length]),
        [
          [MIB, 64 * 1024],
          [32 * MIB, MIB],
        ],
      )
      assert.equal(map[0]?.type, 3)
    },
  },
  {
    name: 'qemu-io writes with FUA, zeroes, discards, and reads back what it should',
    tools: ['qemu-io'],
    async run(target) {
      await qemuIo(target, [
        'write -P 0xaa 0 1M',
        'write -f -P 0xcd 65536 4k',
        'flush',
        'write -z -u 0 32k',
        'write -z 40000 1000',
        'discard 128k 64k',
        'read -P 0 0 32k',
        'read -P 0xaa 32k 7232',
        'read -P 0 40000 1000',
        'read -P 0xaa 41000 1000',
        'read -P 0xcd 65536 4k',
        'read -P 0 128k 64k',
        'read -P 0xaa 192k 64k',
        'aio_write -P 0x01 2M 1M',
        'aio_write -P 0x02 4M 1M',
        'aio_flush',
        'read -P 0x01 2M 1M',
        'read -P 0x02 4M 1M',
      ])
    },
  },
  {
    name: 'qemu-io writes and reads at every alignment around a block',
    tools: ['qemu-io'],
    async run(target) {
      const commands = ['write -P 0x55 0 32k']
      for (const [offset, length] of [
        [1, 1],
        [511, 2],
        [4095, 2],
        [4096, 4097],
        [12287, 4098],
      ] as const) {
        commands.push(`write -P 0x66 ${offset} ${length}`, `read -P 0x66 ${offset} ${length}`)
        commands.push(`read -P 0x55 ${offset + length} 1`)
      }
      await qemuIo(target, commands)
    },
  },
  {
    name: 'qemu-img converts an image into the volume with sixteen requests at a time, and finds it equal',
    tools: ['qemu-img'],
    async run(target, directory) {
      const image = await makeImage(join(directory, 'in.img'), target.sizeBytes)
      await succeed('qemu-img', ['convert', '-n', '-W', '-m', '16', '-f', 'raw', '-O', 'raw', image, target.uri])
      const compared = await succeed('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, target.uri])
      assert.match(compared.stdout, /identical/)
      const back = join(directory, 'back.img')
      await succeed('qemu-img', ['convert', '-m', '16', '-f', 'raw', '-O', 'raw', target.uri, back])
      assert.equal(await digest(back, target.sizeBytes), await digest(image, target.sizeBytes))
      await qemuIo(target, ['write -P 0x99 7M 1'])
      assert.equal((await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, target.uri])).code, 1)
    },
  },
  {
    name: 'qemu-img bench keeps 32 writes in flight without an error',
    tools: ['qemu-img'],
    async run(target) {
      await succeed('qemu-img', ['bench', '-w', '-c', '4000', '-d', '32', '-s', '4k', '-f', 'raw', target.uri])
    },
  },
  {
    name: 'fio verifies mixed block sizes at depth 32 with flushes in between, and what it writes right behind trims',
    tools: ['fio'],
    async run(target) {
      const mixed = await fio([
        ...['--name=verify', `--uri=${target.uri}`, '--rw=randwrite', '--size=48m', '--iodepth=32', '--fsync=64'],
        ...['--bssplit=512/20:4k/50:64k/20:1m/10', '--verify=crc32c', '--verify_backlog=4096', '--verify_fatal=1'],
        ...['--verify_state_save=0', '--randseed=4711'],
      ])
      assert.equal(mixed.error, 0)
      assert.ok(mixed.write.total_ios > 100 && mixed.read.total_ios > 100, 'it wrote and it verified')
      const trims = await fio([
        ...['--name=trims', `--uri=${target.uri}`, '--rw=randtrimwrite', '--size=16m', '--bs=64k', '--iodepth=32'],
        ...['--verify=crc32c', '--verify_fatal=1', '--verify_state_save=0', '--fsync=64', '--randseed=4711'],
      ])
      assert.deepEqual(
        [trims.error, trims.trim.total_ios, trims.write.total_ios, trims.read.total_ios],
        [0, 256, 256, 256],
      )
    },
  },
  {
    name: 'a copy through nbdkit finds every byte of the volume as the image has it',
    tools: ['nbdkit', 'nbdcopy', 'qemu-io'],
    async run(target, directory) {
      const image = await makeImage(join(directory, 'in.img'), target.sizeBytes)
      await succeed('nbdcopy', ['--flush', image, target.uri])
      const check = ['-U', '-', '--filter=checkwrite', 'nbd', `uri=${target.uri}`, '--run', `nbdcopy '${image}' "$uri"`]
      await succeed('nbdkit', check)
      await qemuIo(target, ['write -P 0x42 5M 1'])
      assert.notEqual((await run('nbdkit', check)).code, 0, 'the check sees a byte that differs')
    },
  },
]

interface FioJob {
  readonly error: number
  readonly read: { readonly total_ios: number }
  readonly write: { readonly total_ios: number }
  readonly trim: { readonly total_ios: number }
}

/** Runs one job of fio's NBD engine; gives its figures. */
async function fio(args: readonly string[]): Promise<FioJob> {
  const { stdout } = await succeed('fio', ['--ioengine=nbd', ...args, '--output-format=json'])
  const [job] = (JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: FioJob[] }).jobs
  assert.ok(job !== undefined, stdout)
  return job
}
