import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { deviceExports, MemoryDevice, serveNbd } from '@ashlar/client/nbd'
import { FILTER_SCENARIOS, REQUEST_SCENARIOS } from './filter-scenarios.ts'
import { type NbdTarget, runScenario, SCENARIOS } from './scenarios.ts'

const SIZE_BYTES = 64 * 1024 * 1024

/** Gives each scenario a server of its own over a new memory device. */
async function withServer(kind: 'tcp' | 'unix', use: (target: NbdTarget) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-nbd-'))
  const listen = kind === 'tcp' ? '127.0.0.1:0' : `unix:${join(directory, 'nbd.sock')}`
  const device = new MemoryDevice({ sizeBytes: SIZE_BYTES })
  const server = await serveNbd(deviceExports([{ name: 'vol', device }]), { listen })
  try {
    const address = server.addresses[0]
    const uri = address?.type === 'unix' ? `nbd+unix:///vol?socket=${address.path}` : `${address?.uri}/vol`
    await use({ uri, sizeBytes: SIZE_BYTES })
  } finally {
    await server.close()
    await rm(directory, { recursive: true, force: true })
  }
}

for (const kind of ['tcp', 'unix'] as const) {
  describe(`real NBD clients and a memory device over ${kind}`, () => {
    for (const scenario of kind === 'tcp' ? [...SCENARIOS, ...FILTER_SCENARIOS, ...REQUEST_SCENARIOS] : SCENARIOS) {
      test(scenario.name, (t) => withServer(kind, (target) => runScenario(t, scenario, target)))
    }
  })
}

/** The same against a server that runs already: ASHLAR_NBD_URI names an export whose content may be overwritten. */
const uri = process.env['ASHLAR_NBD_URI']
if (uri !== undefined) {
  const sizeBytes = Number(process.env['ASHLAR_NBD_SIZE_BYTES'])
  assert.ok(Number.isSafeInteger(sizeBytes), 'ASHLAR_NBD_SIZE_BYTES says how large the export is')
  describe(`real NBD clients and ${uri}`, () => {
    for (const scenario of [...SCENARIOS, ...FILTER_SCENARIOS, ...REQUEST_SCENARIOS]) {
      test(scenario.name, (t) => runScenario(t, scenario, { uri, sizeBytes }))
    }
  })
}
