import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { eventually, run } from '../kit/dev-cluster.ts'
import { skipWithout } from '../kit/tools.ts'
import { find, ROOT, render } from './manifests.ts'
import { Pod } from './pod.ts'

const NAMES = ['ashlar-0', 'ashlar-1', 'ashlar-2']
const READY_MS = 120_000

describe('the pods of the base, as processes', { skip: skipWithout('kubectl') }, () => {
  let folder = ''
  let pods: Pod[] = []
  let gateway: Pod | undefined
  let clusterId = ''

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ashlar-pods-'))
    const manifests = render('k8s/base')
    // A network of 127/8 of this run's own: nothing else on the machine listens there.
    const prefix = `127.${randomInt(1, 255)}.${randomInt(255)}`
    const network = new Map([...NAMES, 'gateway'].map((name, at) => [name, `${prefix}.${at + 10}`]))
    const nodes = find(manifests, 'StatefulSet', 'ashlar')
    assert.equal(nodes.spec.replicas, NAMES.length)
    pods = NAMES.map((name) => new Pod(nodes, name, network, folder))
    gateway = new Pod(find(manifests, 'Deployment', 'ashlar-gateway'), 'gateway', network, folder)
  })

  after(async () => {
    await Promise.all([...pods, gateway].map((pod) => pod?.stop('SIGKILL')))
    await rm(folder, { recursive: true, force: true })
  })

  const pod = (at: number): Pod => {
    const found = pods[at]
    assert.ok(found !== undefined)
    return found
  }

  function cli(...args: string[]) {
    const server = pods.map(({ api }) => api).join(',')
    return run(process.execPath, [join(ROOT, 'packages/cli/bin/ashlar.mjs'), '--server', server, ...args])
  }

  async function succeeds(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await cli(...args)
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }

  /** What a node says of the cluster that it belongs to; null for none. */
  async function clusterOf(one: Pod): Promise<string | null> {
    const response = await fetch(`${one.api}/v1/cluster`, { signal: AbortSignal.timeout(5000) })
    return ((await response.json()) as { cluster: string | null }).cluster
  }

  const ready = (one: Pod) =>
    eventually(
      `${one.name} is ready:\n${one.output}`,
      async () => ((await one.probe('readinessProbe')) ? true : undefined),
      READY_MS,
    )

  const alive = (one: Pod) =>
    eventually(`${one.name} is alive`, async () => ((await one.probe('livenessProbe')) ? true : undefined), READY_MS)

  test('a single pod is alive and not ready, and does not bootstrap a cluster', async () => {
    await pod(2).start()
    await alive(pod(2))
    assert.equal(await pod(2).probe('readinessProbe'), false)
    assert.equal(await clusterOf(pod(2)), null)
  })

  test('pods bootstrap one cluster in any order of their starts', async () => {
    await pod(0).start()
    await alive(pod(0))
    await pod(1).start()
    await Promise.all(pods.map(ready))
    assert.equal(pods.filter((one) => /cluster-bootstrap/.test(one.output)).length, 1)
    const ids = await Promise.all(pods.map(clusterOf))
    clusterId = ids[0] ?? ''
    assert.deepEqual(new Set(ids), new Set([clusterId]))
    assert.match(clusterId, /^[0-9a-f-]{36}$/)
  })

  test('the gateway becomes ready with the cluster', async () => {
    assert.ok(gateway !== undefined)
    await gateway.start()
    await ready(gateway)
    assert.equal(await gateway.probe('livenessProbe'), true)
    assert.equal(await gateway.stop(), 0)
  })

  test('data survives a pod that lost its claim: it comes back under its name as a new replica', async () => {
    await writeFile(join(folder, 'disk.img'), randomBytes(2 * 1024 * 1024))
    await succeeds('volume', 'create', 'disk', '--size', '2Mi')
    await succeeds('volume', 'import', join(folder, 'disk.img'), 'disk')
    await pod(1).stop('SIGKILL')
    await pod(1).loseClaim()
    await pod(1).start()
    await ready(pod(1))
    assert.equal(await clusterOf(pod(1)), clusterId)
    await succeeds('volume', 'export', 'disk', join(folder, 'copy.img'))
    assert.deepEqual(await readFile(join(folder, 'copy.img')), await readFile(join(folder, 'disk.img')))
  })

  test('all pods at once: they end cleanly when asked, and come back as the same cluster with the same data', async () => {
    assert.deepEqual(await Promise.all(pods.map((one) => one.stop())), [0, 0, 0])
    for (const one of [...pods].reverse()) await one.start()
    await Promise.all(pods.map(ready))
    assert.deepEqual(new Set(await Promise.all(pods.map(clusterOf))), new Set([clusterId]))
    await succeeds('volume', 'export', 'disk', join(folder, 'copy.img'))
    assert.deepEqual(await readFile(join(folder, 'copy.img')), await readFile(join(folder, 'disk.img')))
  })

  test('the pod that bootstrapped the cluster rejoins it as a new replica after its claim is lost', async () => {
    await Promise.all(pods.map((one) => one.stop()))
    await pod(0).loseClaim()
    for (const one of pods) await one.start()
    await Promise.all(pods.map(ready))
    for (const one of pods) {
      assert.equal(await clusterOf(one), clusterId, `${one.name} belongs to the one cluster`)
      assert.doesNotMatch(one.output, /cluster-bootstrap/)
    }
    await succeeds('volume', 'export', 'disk', join(folder, 'copy.img'))
    assert.deepEqual(await readFile(join(folder, 'copy.img')), await readFile(join(folder, 'disk.img')))
  })
})
