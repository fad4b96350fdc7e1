import { rm } from 'node:fs/promises'
import { AshlarError } from '@ashlar/proto'
import { type DevCluster, type ExtentLine, eventually } from '../../kit/dev-cluster.ts'

const START_MS = 60_000
/** Longest rebuild that is waited for: some 10 GiB. */
const REBUILD_MS = 900_000

/**
 * One node of a cluster whose replicas are rebuilt again and again: it loses its directory and comes back as a new
 * store.
 */
export class RebuiltNode {
  readonly id: string
  readonly #cluster: DevCluster
  readonly #volumes: readonly string[]
  readonly #server: string
  #pid: number

  /** Neither the node that gets all requests, nor the leader of control: only replicas are to be lost. */
  static async choose(cluster: DevCluster, volumes: readonly string[]): Promise<RebuiltNode> {
    const { leader } = await cluster.json<{ leader: string }>(['cluster', 'info'])
    const [asked, ...others] = cluster.info.nodes
    const node = others.findLast(({ id }) => id !== leader)
    if (asked === undefined || node === undefined) throw new AshlarError('USAGE', '--against upkeep takes three nodes')
    return new RebuiltNode(cluster, node, volumes, asked.api)
  }

  private constructor(
    cluster: DevCluster,
    node: { readonly id: string; readonly pid: number },
    volumes: readonly string[],
    server: string,
  ) {
    this.id = node.id
    this.#pid = node.pid
    this.#cluster = cluster
    this.#volumes = volumes
    this.#server = server
  }

  /** Of the process that runs the node now. */
  get pid(): number {
    return this.#pid
  }

  /** Ends and starts it, so that it leads no extent: primaries stay where they are from here on. */
  async leadNothing(): Promise<void> {
    await this.#command('stop')
    await eventually(
      `${this.id} leads nothing`,
      async () => ((await this.#extents()).some(({ primary }) => primary === this.id) ? undefined : true),
      START_MS,
    )
    await this.#start()
    await this.inSync()
  }

  /** Resolves once its new store is being filled. */
  async wipe(): Promise<void> {
    await this.#command('stop', '--kill')
    await rm(this.#cluster.node(this.id).dataDir, { recursive: true })
    await this.#start()
    await eventually(`${this.id} is being filled`, async () => ((await this.isFilled()) ? true : undefined), START_MS)
  }

  /** True while one of its replicas is copied to. */
  async isFilled(): Promise<boolean> {
    const mine = (await this.#extents()).flatMap(({ replicas }) => replicas.filter(({ node }) => node === this.id))
    return mine.some(({ standing }) => standing === 'joining')
  }

  /** Waits for the end of the rebuild. */
  async inSync(): Promise<void> {
    for (const volume of this.#volumes) await this.#cluster.healthy(volume, REBUILD_MS)
  }

  async #start(): Promise<void> {
    await this.#command('start')
    const local = (await (await fetch(`${this.#cluster.node(this.id).api}/v1/local`)).json()) as { pid: number }
    this.#pid = local.pid
  }

  async #command(verb: 'stop' | 'start', ...flags: readonly string[]): Promise<void> {
    const { directory } = this.#cluster
    const done = await this.#cluster.cli(['dev', verb, this.id, ...flags, '--data-dir', directory])
    if (done.code !== 0) throw new AshlarError('INTERNAL', `${this.id} does not ${verb}: ${done.stderr}`)
  }

  async #extents(): Promise<ExtentLine[]> {
    const asked = this.#volumes.map((volume) => fetch(`${this.#server}/v1/volumes/${volume}/extents`))
    const answers = await Promise.allSettled(asked)
    const extents: ExtentLine[] = []
    for (const answer of answers) {
      if (answer.status === 'rejected') throw answer.reason
      extents.push(...((await answer.value.json()) as ExtentLine[]))
    }
    return extents
  }
}
