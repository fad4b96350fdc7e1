import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type AshlarError, connect } from '@ashlar/client'
import { LIMITS, TIMERS } from '@ashlar/proto'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

/**
 * ASHLAR_KILLED_SESSIONS=1000 takes some three minutes: where 64 share a volume the next ones wait for those that were
 * killed.
 */
const SESSIONS = Number(process.env['ASHLAR_KILLED_SESSIONS'] ?? 96)
/** Sessions of one program that is killed. */
const TOGETHER = 16
const CHILD = fileURLToPath(new URL('bin/share.ts', import.meta.url))
const VOLUME = 'shared'

interface VolumeLine {
  readonly holders: readonly { readonly session: number; readonly client: string }[]
}

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
  const created = await cluster.cli(['volume', 'create', VOLUME, '--size', '64Mi'])
  assert.equal(created.code, 0, created.stderr)
  await eventually('the level is raised', async () => {
    const { featureLevel = 0 } = await cluster.json<{ featureLevel?: number }>(['cluster', 'info'])
    return featureLevel > 0 ? true : undefined
  })
})
after(() => cluster?.stop())

function servers(): string[] {
  return cluster.info.nodes.map((node) => node.peer)
}

async function holders(): Promise<VolumeLine['holders']> {
  return (await cluster.json<VolumeLine>(['volume', 'describe', VOLUME])).holders
}

/** A program that shares the volume and is killed at once when it does. */
async function shareAndDie(): Promise<void> {
  const args = ['--conditions=ashlar-source', CHILD, servers().join(','), VOLUME, String(TOGETHER)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  assert.equal(String(said), 'shared\n', 'it could share the volume')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('however many clients that share a volume are killed, one more may share it, and the live ones stay', {
  timeout: longest(60_000) + (SESSIONS / LIMITS.holders) * 4 * TIMERS.holderYieldMs,
}, async () => {
  await using client = await connect({ servers: servers() })
  const volume = await client.openVolume(VOLUME, { mode: 'shared' })
  for (let killed = 0; killed < SESSIONS; killed += TOGETHER) {
    await shareAndDie()
    await volume.write(0, new Uint8Array(4096).fill(killed % 250))
    assert.ok((await holders()).length <= LIMITS.holders)
  }

  // Printed first, and then done: the fenced client learns it, and the volume has no holder any more.
  const held = (await holders()).length
  const asked = await cluster.cli(['volume', 'detach', VOLUME, '--all'])
  assert.equal(asked.code, 4, asked.stderr)
  assert.equal((await holders()).length, held)
  const ended = await cluster.cli(['volume', 'detach', VOLUME, '--all', '--yes'])
  assert.equal(ended.code, 0, ended.stderr)
  assert.deepEqual(await holders(), [])
  await assert.rejects(
    () => volume.write(0, new Uint8Array(4096)),
    (error: AshlarError) => error.code === 'FENCED',
  )
})
