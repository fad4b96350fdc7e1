import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { skipWithout } from '../kit/tools.ts'
import { find, type Manifest, parseManifests, render } from './manifests.ts'
import { problemsOf } from './strict.ts'

const skip = skipWithout('kubectl')

describe('strict validation of manifests', () => {
  const podDisruptionBudget = (spec: string): Manifest[] =>
    parseManifests(`apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: a\nspec:\n${spec}`)

  test('accepts what is right', async () => {
    assert.deepEqual(await problemsOf(podDisruptionBudget('  maxUnavailable: 1\n')), [])
  })

  test('refuses a misspelt field, which the API server would drop without a word', async () => {
    const problems = await problemsOf(podDisruptionBudget('  maxUnavailabel: 1\n'))
    assert.match(problems.join('\n'), /maxUnavailabel/)
  })

  test('refuses a value of the wrong type', async () => {
    const problems = await problemsOf(podDisruptionBudget('  selector: app\n'))
    assert.ok(problems.length > 0)
  })
})

describe('the base for Kubernetes', { skip }, () => {
  const manifests = skip === false ? render('k8s/base') : []
  const nodes = () => find(manifests, 'StatefulSet', 'ashlar').spec
  const pods = () => [nodes().template.spec, find(manifests, 'Deployment', 'ashlar-gateway').spec.template.spec]

  test('is valid to the last field', async () => {
    assert.deepEqual(await problemsOf(manifests), [])
  })

  test('lets nodes find each other before they are ready, and starts them together', () => {
    const { clusterIP, publishNotReadyAddresses } = find(manifests, 'Service', 'ashlar-peers').spec
    assert.deepEqual({ clusterIP, publishNotReadyAddresses }, { clusterIP: 'None', publishNotReadyAddresses: true })
    assert.equal(nodes().serviceName, 'ashlar-peers')
    assert.equal(nodes().podManagementPolicy, 'Parallel')
  })

  test('never restarts a node because of the state of the cluster', () => {
    const [container] = nodes().template.spec.containers
    assert.equal(container.livenessProbe.httpGet.path, '/healthz')
    assert.equal(container.startupProbe.httpGet.path, '/healthz')
    assert.equal(container.readinessProbe.httpGet.path, '/readyz')
  })

  test('keeps data: claims outlive the set, one node at a time is disturbed, no two share a machine', () => {
    assert.deepEqual(nodes().persistentVolumeClaimRetentionPolicy, { whenDeleted: 'Retain', whenScaled: 'Retain' })
    assert.equal(find(manifests, 'PodDisruptionBudget', 'ashlar').spec.maxUnavailable, 1)
    const spread = nodes().template.spec.topologySpreadConstraints[0]
    assert.deepEqual([spread.topologyKey, spread.whenUnsatisfiable], ['kubernetes.io/hostname', 'DoNotSchedule'])
  })

  test('selects pods that exist, by labels that no other workload has', () => {
    const labelled = manifests.filter(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment')
    for (const { kind, metadata, spec } of manifests) {
      const selector = spec.selector?.matchLabels ?? spec.podSelector?.matchLabels ?? spec.selector
      const selected = labelled.filter((workload) =>
        Object.entries(selector).every(([key, value]) => workload.spec.template.metadata.labels[key] === value),
      )
      assert.equal(selected.length, 1, `${kind} ${metadata.name} selects ${selected.length} workloads`)
    }
  })

  test('runs without privileges, on a read-only root, and restricted as PodSecurity asks', () => {
    for (const pod of pods()) {
      assert.equal(pod.automountServiceAccountToken, false)
      assert.equal(pod.securityContext.runAsNonRoot, true)
      assert.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault')
      const [{ securityContext, resources }] = pod.containers
      assert.equal(securityContext.readOnlyRootFilesystem, true)
      assert.equal(securityContext.allowPrivilegeEscalation, false)
      assert.deepEqual(securityContext.capabilities.drop, ['ALL'])
      assert.equal(resources.limits.memory, resources.requests.memory)
    }
  })

  test('is scraped where the containers listen', () => {
    for (const [kind, name] of [
      ['StatefulSet', 'ashlar'],
      ['Deployment', 'ashlar-gateway'],
    ] as const) {
      const { metadata, spec } = find(manifests, kind, name).spec.template
      const ports = spec.containers[0].ports.map((port: { containerPort: number }) => `${port.containerPort}`)
      assert.equal(metadata.annotations['prometheus.io/scrape'], 'true')
      assert.ok(ports.includes(metadata.annotations['prometheus.io/port']), `${name} is scraped at a port it has`)
    }
  })
})
