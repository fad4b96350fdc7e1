import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { AshlarError } from '@ashlar/proto'
import { DevCluster } from '../kit/dev-cluster.ts'
import { processesOf } from './empty-cluster.ts'
import type { BenchOptions } from './options.ts'
import type { Subject } from './subject.ts'

const VOLUME = 'bench'

export interface AshlarSubject extends Subject {
  readonly cluster: DevCluster
  /** The volume that fio uses. */
  readonly volume: string
}

/**
 * A cluster of `ashlar dev` with its NBD gateway, and an empty volume; `nodeFlags` are options for the Node that runs
 * it.
 */
export async function startAshlar(options: BenchOptions, nodeFlags: readonly string[] = []): Promise<AshlarSubject> {
  const directory = await mkdtemp(join(options.directory, 'ashlar-bench-'))
  // As a client on the gateway's machine would: a unix socket costs both sides less than loopback.
  const socket = join(directory, 'nbd.sock')
  const cluster = await DevCluster.start({
    directory,
    nodes: options.nodes,
    nodeFlags,
    args: ['--nbd', `unix:${socket}`],
  })
  try {
    const sizes = ['--size', `${options.sizeBytes}`, '--block-size', `${options.blockSizeBytes}`]
    const created = await cluster.cli([
      'volume',
      'create',
      VOLUME,
      ...sizes,
      '--replicas',
      `${Math.min(3, options.nodes)}`,
    ])
    if (created.code !== 0) throw new AshlarError('INTERNAL', `no volume to measure: ${created.stderr}`)
    await cluster.healthy(VOLUME)
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return {
    name: nodeFlags.length === 0 ? 'ashlar' : 'ashlar-other-node',
    fio: new Map([
      ['ioengine', 'nbd'],
      ['uri', `nbd+unix:///${VOLUME}?socket=${socket}`],
    ]),
    fioEnvironment: {},
    cluster,
    volume: VOLUME,
    processes: processesOf(cluster),
    stop: () => cluster.stop(),
  }
}
