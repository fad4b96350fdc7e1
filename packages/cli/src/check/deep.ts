import { setTimeout as delay } from 'node:timers/promises'
import type { ExtentAnswer, NodeAnswer, VersionsAnswer } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { ApiClient } from '../api-client.ts'
import type { Io } from '../io.ts'

/** What a comparison of all in-sync replicas found. */
export interface DeepReport {
  readonly extents: number
  /** Replicas that were read, and blocks that were read in all of them together. */
  readonly replicas: number
  readonly blocks: number
  /** Blocks that differed each time they were looked at, and changed in between: they are being written. */
  readonly changing: number
  readonly problems: readonly string[]
}

type Block = VersionsAnswer['blocks'][number]

/** A block that differs is read again this often, this long apart: a write on its way is not on all replicas at once. */
const LOOKS = 20
const PAUSE_MS = 100
/** Problems that are told one by one; a whole disk that rots would fill the screen. */
const TOLD_PROBLEMS = 100

/**
 * Reads every block of every in-sync replica through the nodes' own API, where each is verified against its checksum, and
 * compares versions and checksums across replicas. Writes may go on meanwhile. Takes as long as reading all disks does.
 */
export async function deepCheck(api: ApiClient, io: Io): Promise<DeepReport> {
  const check = new DeepCheck(await api.nodes())
  for (const volume of await api.volumes()) {
    io.error(`comparing ${volume.name}\n`)
    for (const extent of await api.extents(volume.name)) await check.compareExtent(volume.name, extent)
  }
  return check.report()
}

class DeepCheck {
  private readonly nodes: ReadonlyMap<string, ApiClient>
  private readonly problems: string[] = []
  private untold = 0
  private extents = 0
  private replicas = 0
  private blocks = 0
  private changing = 0

  constructor(nodes: readonly NodeAnswer[]) {
    this.nodes = new Map(nodes.map(({ id, api }) => [id, new ApiClient([`http://${api}`])]))
  }

  async compareExtent(volume: string, extent: ExtentAnswer): Promise<void> {
    const holders = extent.replicas.filter(({ standing }) => standing === 'in-sync').map(({ node }) => node)
    this.extents++
    this.replicas += holders.length
    const where = `${volume}/${extent.extent}`
    for (let firstBlock: number | null = 0; firstBlock !== null; ) {
      const pages = await this.readAll(where, extent.id, holders, firstBlock)
      firstBlock = pages[0]?.nextBlock ?? null
      for (const page of pages) this.blocks += page.blocks.length
      this.tellDamaged(where, pages)
      await this.settleDifferences(where, extent.id, pages)
    }
  }

  report(): DeepReport {
    const { extents, replicas, blocks, changing } = this
    const more = this.untold === 0 ? [] : [`and ${this.untold} more`]
    return { extents, replicas, blocks, changing, problems: [...this.problems, ...more] }
  }

  /** One page of each holder that answers; one that does not is a problem, and leaves the rest to be compared. */
  private async readAll(
    where: string,
    extent: number,
    holders: readonly string[],
    firstBlock: number,
  ): Promise<Page[]> {
    const pages = await Promise.all(
      holders.map(async (node): Promise<Page | undefined> => {
        try {
          const client = this.nodes.get(node)
          if (client === undefined) throw new AshlarError('NOT_FOUND', 'the map does not know it')
          return { node, firstBlock, ...(await client.versions(extent, firstBlock)) }
        } catch (error) {
          this.tell(`${where}: the replica on ${node} cannot be read: ${(error as Error).message}`)
          return undefined
        }
      }),
    )
    return pages.filter((page) => page !== undefined)
  }

  private tellDamaged(where: string, pages: readonly Page[]): void {
    for (const { node, blocks } of pages) {
      for (const { block, intact } of blocks) {
        if (!intact) this.tell(`${where}: block ${block} on ${node} does not match its checksum`)
      }
    }
  }

  /** Looks again at what differs, until it does not or it is certain. */
  private async settleDifferences(where: string, extent: number, pages: readonly Page[]): Promise<void> {
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
    for (const [block, text] of differing) {
      if (changed.has(block)) this.changing++
      else this.tell(`${where}: block ${block} differs: ${text}`)
    }
  }

  private tell(problem: string): void {
    if (this.problems.length < TOLD_PROBLEMS) this.problems.push(problem)
    else this.untold++
  }
}

interface Page extends VersionsAnswer {
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
  return `${block.kind} ${block.epoch}.${block.seq} with checksum ${block.checksum.toString(16).padStart(8, '0')}`
}
