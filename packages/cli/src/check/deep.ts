import { setTimeout as delay } from 'node:timers/promises'
import type { ExtentResponse, NodeResponse, VersionsResponse } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { ApiClient } from '../api-client.ts'
import type { Io } from '../io.ts'

/** What a comparison of all in-sync replicas found. */
export interface DeepReport {
  readonly extents: number
  /** Replicas that were read, and blocks that were read in all of them together. */
  readonly replicas: number
  readonly blocks: number
  /** Blocks that differed at each comparison and changed in between: clients are writing them. */
  readonly changing: number
  /** Replicas that were not read because they are not in sync: `extent ls` shows what they lack. */
  readonly outOfSync: number
  /** The blocks of `problems`, for programs; at most as many. */
  readonly findings: readonly Finding[]
  readonly problems: readonly string[]
}

/** A block with copies that differ or are damaged, with every copy that was compared. */
export interface Finding {
  readonly kind: 'differs' | 'damaged'
  readonly volume: string
  readonly extent: number
  readonly block: number
  readonly copies: readonly Copy[]
}

/** One copy; without a version the node does not have the block. Damaged: its bytes are missing or do not match the checksum. */
export interface Copy {
  readonly node: string
  readonly version: string | null
  readonly kind: string | null
  readonly checksum: string | null
  readonly intact: boolean
}

type Block = VersionsResponse['blocks'][number]

/** A block that differs is read again this often, this long apart: a write on its way is not on all replicas at once. */
const LOOKS = 20
const PAUSE_MS = 100
/** Problems that are listed one by one; a failing disk would fill the screen. */
const LISTED_PROBLEMS = 100

/**
 * Reads every block of every in-sync replica through the nodes' own API, where each is verified against its checksum, and
 * compares versions and checksums across replicas: of one volume, or of all. Writes may continue meanwhile. Takes as long
 * as reading all disks. Throws NOT_FOUND for a volume that does not exist.
 */
export async function deepCheck(api: ApiClient, io: Io, volume?: string): Promise<DeepReport> {
  const check = new DeepCheck(api, await api.nodes())
  const volumes = volume === undefined ? await api.volumes() : [await api.volume(volume)]
  for (const { name } of volumes) {
    io.error(`comparing ${name}\n`)
    for (const extent of await api.extents(name)) await check.compareExtent(name, extent)
  }
  return check.report()
}

class DeepCheck {
  private readonly api: ApiClient
  private readonly nodes: ReadonlyMap<string, ApiClient>
  private readonly problems: string[] = []
  private readonly findings: Finding[] = []
  private outOfSync = 0
  private unlisted = 0
  private extents = 0
  private replicas = 0
  private blocks = 0
  private changing = 0

  constructor(api: ApiClient, nodes: readonly NodeResponse[]) {
    this.api = api
    this.nodes = new Map(nodes.map(({ id, api }) => [id, new ApiClient([`http://${api}`])]))
  }

  async compareExtent(volume: string, extent: ExtentResponse): Promise<void> {
    const holders = inSyncNodes(extent)
    this.extents++
    this.replicas += holders.length
    this.outOfSync += extent.replicas.length - holders.length
    const where: Where = { volume, extent: extent.extent, name: `${volume}/${extent.extent}` }
    for (let firstBlock: number | null = 0; firstBlock !== null; ) {
      const pages = await this.readAll(where, extent.id, holders, firstBlock)
      firstBlock = pages[0]?.nextBlock ?? null
      for (const page of pages) this.blocks += page.blocks.length
      this.reportDamaged(where, pages)
      await this.settleDifferences(where, extent.id, pages)
    }
  }

  report(): DeepReport {
    const { extents, replicas, blocks, changing, outOfSync, findings } = this
    const more = this.unlisted === 0 ? [] : [`and ${this.unlisted} more`]
    return { extents, replicas, blocks, changing, outOfSync, findings, problems: [...this.problems, ...more] }
  }

  /** One page of each holder that responds; one that does not is a problem, and the rest are compared. */
  private async readAll(where: Where, extent: number, holders: readonly string[], firstBlock: number): Promise<Page[]> {
    const pages = await Promise.all(
      holders.map(async (node): Promise<Page | undefined> => {
        try {
          const client = this.nodes.get(node)
          if (client === undefined) throw new AshlarError('NOT_FOUND', 'the map does not have it')
          return { node, firstBlock, ...(await client.versions(extent, firstBlock)) }
        } catch (error) {
          this.add(`${where.name}: the replica on ${node} cannot be read: ${(error as Error).message}`)
          return undefined
        }
      }),
    )
    return pages.filter((page) => page !== undefined)
  }

  private reportDamaged(where: Where, pages: readonly Page[]): void {
    for (const { node, blocks } of pages) {
      for (const { block, intact } of blocks) {
        if (intact) continue
        const finding = { kind: 'damaged', ...where, block, copies: copiesOf(block, pages) } as const
        this.add(`${where.name}: block ${block} on ${node} does not match its checksum`, finding)
      }
    }
  }

  /** Reads blocks that differ again, until they match or the difference is certain. */
  private async settleDifferences(where: Where, extent: number, pages: readonly Page[]): Promise<void> {
    let current = pages
    let differing = differences(current)
    const changed = new Set<number>()
    for (let look = 1; differing.size > 0 && look < LOOKS; look++) {
      await delay(PAUSE_MS)
      const again = await this.readAll(
        where,
        extent,
        current.map(({ node }) => node),
        pages[0]?.firstBlock ?? 0,
      )
      const still = new Map([...differences(again)].filter(([block]) => differing.has(block)))
      for (const [block, text] of still) if (differing.get(block) !== text) changed.add(block)
      current = again
      differing = still
    }
    if (differing.size === 0) return
    // A replica that left the in-sync set meanwhile lacks later writes: that is no contradiction.
    const still = await this.stillInSync(where)
    const compared = current.filter(({ node }) => still.has(node))
    for (const [block, text] of differences(compared)) {
      if (!differing.has(block)) continue
      if (changed.has(block)) this.changing++
      else {
        const finding = { kind: 'differs', ...where, block, copies: copiesOf(block, compared) } as const
        this.add(`${where.name}: block ${block} differs: ${text}`, finding)
      }
    }
  }

  private async stillInSync({ volume, extent }: Where): Promise<ReadonlySet<string>> {
    const now = (await this.api.extents(volume)).find((candidate) => candidate.extent === extent)
    return new Set(now === undefined ? [] : inSyncNodes(now))
  }

  private add(problem: string, finding?: Finding & Partial<Where>): void {
    if (this.problems.length >= LISTED_PROBLEMS) {
      this.unlisted++
      return
    }
    this.problems.push(problem)
    if (finding === undefined) return
    const { kind, volume, extent, block, copies } = finding
    this.findings.push({ kind, volume, extent, block, copies })
  }
}

interface Where {
  readonly volume: string
  readonly extent: number
  /** VOLUME/NUMBER. */
  readonly name: string
}

function inSyncNodes(extent: ExtentResponse): string[] {
  return extent.replicas.filter(({ standing }) => standing === 'in-sync').map(({ node }) => node)
}

function copiesOf(number: number, pages: readonly Page[]): Copy[] {
  return pages.map(({ node, blocks }) => {
    const block = blocks.find((candidate) => candidate.block === number)
    if (block === undefined) return { node, version: null, kind: null, checksum: null, intact: true }
    const { epoch, seq, kind, checksum, intact } = block
    return { node, version: `${epoch}.${seq}`, kind, checksum: hex(checksum), intact }
  })
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0')
}

interface Page extends VersionsResponse {
  readonly node: string
  readonly firstBlock: number
}

/** Blocks whose versions are not the same on all pages, with what each node holds. */
export function differences(pages: readonly Pick<Page, 'node' | 'blocks'>[]): Map<number, string> {
  const byNode = pages.map(({ node, blocks }) => ({ node, blocks: new Map(blocks.map((each) => [each.block, each])) }))
  const numbers = new Set(pages.flatMap(({ blocks }) => blocks.map(({ block }) => block)))
  const differing = new Map<number, string>()
  for (const number of numbers) {
    const held = byNode.map(({ node, blocks }) => ({ node, text: describeBlock(blocks.get(number)) }))
    if (new Set(held.map(({ text }) => text)).size <= 1) continue
    differing.set(number, held.map(({ node, text }) => `${node} has ${text}`).join(', '))
  }
  return differing
}

function describeBlock(block: Block | undefined): string {
  if (block === undefined) return 'nothing'
  return `${block.kind} ${block.epoch}.${block.seq} with checksum ${hex(block.checksum)}`
}
