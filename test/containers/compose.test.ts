import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually, freePorts } from '../kit/dev-cluster.ts'
import { skipWithout } from '../kit/tools.ts'
import { DockerDaemon } from './docker-daemon.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NODES = ['n1', 'n2', 'n3']
const DISK_BYTES = 16 * 1024 * 1024

/** A daemon, or why there can be none here: without the programs or the privileges the tests are skipped. */
async function startDaemon(): Promise<DockerDaemon | string> {
  if (process.getuid?.() !== 0) return 'dockerd needs root'
  const missing = skipWithout('dockerd', 'docker', 'docker-compose', 'nbdcopy')
  if (missing !== false) return missing
  return await DockerDaemon.start().catch((error: Error) => error.message)
}

const started = await startDaemon()
const skip = typeof started === 'string' ? started : false

describe('the image and the compose file, on a real Docker daemon', { skip }, () => {
  const daemon = started as DockerDaemon
  let environment: Record<string, string> = {}
  let disks = ''

  before(async () => {
    const { api, nbd } = await freePorts(1)
    environment = { ASHLAR_API_PORT: `${api}`, ASHLAR_NBD_PORT: `${nbd}`, COMPOSE_PROJECT_NAME: 'ashlar-test' }
    disks = join(daemon.folder, 'disks')
    await mkdir(disks)
    await writeFile(join(disks, 'disk.img'), randomBytes(DISK_BYTES))
  })

  after(async () => {
    await compose('down', '--volumes', '--timeout', '5').catch(() => undefined)
    await daemon.stop()
  })

  const compose = (...args: string[]) =>
    daemon.succeeds(
      'docker-compose',
      ['--project-directory', ROOT, '--file', join(ROOT, 'docker-compose.yml'), ...args],
      environment,
    )

  const ashlar = (...args: string[]) => compose('exec', '-T', 'n1', 'ashlar', ...args)

  /** A container of its own on the network of the cluster, as a user's would be. */
  const nbdcopy = (from: string, to: string) =>
    daemon.succeeds('docker', [
      ...['run', '--rm', '--network', 'ashlar-test_ashlar', '--volume', `${disks}:/disks`],
      ...['ashlar-tools', 'nbdcopy', from, to],
    ])

  async function readsBackAs(name: string): Promise<void> {
    await nbdcopy('nbd://gateway:10809/demo', `/disks/${name}`)
    assert.deepEqual(await readFile(join(disks, name)), await readFile(join(disks, 'disk.img')))
  }

  const container = (service: string) => `ashlar-test_${service}_1`

  function inspect(service: string, format: string): Promise<string> {
    return daemon.succeeds('docker', ['inspect', '--format', format, container(service)])
  }

  test('the image builds where no registry of images can be reached', async () => {
    const images = join(ROOT, 'scripts/container/local-images.sh')
    await daemon.succeeds(images, ['bases'])
    await daemon.succeeds(images, ['tool', 'ashlar-tools', 'nbdcopy'])
    const bases = ['--build-arg', 'BASE=ashlar-base', '--build-arg', 'BUILDER=ashlar-builder']
    await daemon.succeeds('docker', ['build', '--network', 'host', ...bases, '--tag', 'ashlar:0.1.0', ROOT])
    const version = await daemon.succeeds('docker', ['run', '--rm', '--network', 'none', 'ashlar:0.1.0', '--version'])
    assert.match(version, /^\d+\.\d+\.\d+$/)
  })

  test('compose brings up a cluster whose containers all become healthy', async () => {
    await compose('up', '--detach', '--no-build')
    for (const service of [...NODES, 'gateway']) {
      await eventually(
        `${service} is healthy`,
        async () => ((await inspect(service, '{{.State.Health.Status}}')) === 'healthy' ? true : undefined),
        120_000,
      )
    }
    await ashlar('cluster', 'wait', '--for', 'healthy', '--timeout', '60s')
  })

  test('the containers run without root, without capabilities, and on a read-only root', async () => {
    const format = '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}'
    for (const service of [...NODES, 'gateway']) {
      assert.equal(await inspect(service, format), '65532:65532 true [ALL] [no-new-privileges:true]')
    }
  })

  test('another container writes a disk through the gateway and reads it back while a node is killed', async () => {
    await ashlar('volume', 'create', 'demo', '--size', `${DISK_BYTES}`)
    const writing = nbdcopy('/disks/disk.img', 'nbd://gateway:10809/demo')
    await daemon.succeeds('docker', ['kill', '--signal', 'KILL', container('n2')])
    await writing
    await readsBackAs('while-a-node-is-away.img')
  })

  test('the killed node comes back and catches up', async () => {
    await daemon.succeeds('docker', ['start', container('n2')])
    await ashlar('cluster', 'wait', '--for', 'healthy', '--timeout', '90s')
    assert.match(await ashlar('cluster', 'check', '--deep'), /Problems:\s+none/)
  })

  test('down and up again: the data is there, and every process ended by itself when it was asked', async () => {
    await compose('stop', '--timeout', '40')
    for (const service of [...NODES, 'gateway']) assert.equal(await inspect(service, '{{.State.ExitCode}}'), '0')
    await compose('down')
    await compose('up', '--detach', '--no-build')
    await eventually(
      'the cluster is healthy again',
      async () => {
        await ashlar('cluster', 'wait', '--for', 'healthy', '--timeout', '60s')
        return true
      },
      120_000,
    )
    await eventually(
      'the gateway serves',
      async () => {
        await readsBackAs('after-down-and-up.img')
        return true
      },
      60_000,
    )
  })
})
