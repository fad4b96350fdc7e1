import { setTimeout as delay } from 'node:timers/promises'
import type { ExtentResponse, NodeResponse, VersionsResponse } from '@ashlar/node/config'
import { AshlarError, counted } from '@ashlar/proto'
import { ApiClient } from '../api-client.ts'
import type { Io } from '../io.ts'
import { Damage, Unreadable, whatBecameOf } from './problems.ts'

/** What a comparison of all in-sync replicas found. */
export interface DeepReport {
  readonly extents: number
  /** Replicas that were read, and blocks that were read in all of them together. */
  readonly replicas: number
  readonly blocks: number
  /** Blocks that were compared, each counted once however many replicas hold it. */
  readonly distinctBlocks: number
  /** Blocks that differed at each comparison and changed in between: clients are writing them. */
  readonly changing: number
  /** Replicas that were not read because they are not in sync: `extent ls` shows what they lack. */
  readonly outOfSync: number
  /** Blocks with copies that differ or are damaged, for programs; not all where there are many. */
  readonly findings: readonly Finding[]
  /** All that is wrong, for people: damage by node, then blocks that differ. */
  readonly problems: readonly string[]
  readonly verdict: Verdict
}

/**
 * damaged: copies differ, or damage was not repaired. unknown: a replica could not be read. repaired: all damage that was found has
 * been repaired. equal: there was none.
 */
export type Verdict = 'equal' | 'repaired' | 'unknown' | 'damaged'

/** A block with copies that differ or are damaged, with every copy that was compared. */
export interface Finding {
  readonly kind: 'differs' | 'damaged'
  readonly volume: string
  readonly extent: number
  readonly block: number
  readonly copies: readonly Copy[]
  /** Of a damaged block: its node, whether the node repaired it during the check, and the nodes that have the good copy. */
  readonly damage?: { readonly node: string; readonly repaired: boolean; readonly from: readonly string[] }
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
/** Blocks that are listed one by one; a failing disk would fill the screen. */
const LISTED = 100

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
  return await check.report()
}

class DeepCheck {
  private readonly api: ApiClient
  private readonly nodes: ReadonlyMap<string, ApiClient>
  private readonly damage = new Damage()
  private readonly unreadable = new Unreadable()
  private readonly different: string[] = []
  private readonly findings: Finding[] = []
  private outOfSync = 0
  private unlisted = 0
  private extents = 0
  private replicas = 0
  private blocks = 0
  private distinctBlocks = 0
  private changing = 0

  constructor(api: ApiClient, nodes: readonly NodeResponse[]) {
    this.api = api
    this.nodes = new Map(nodes.map(({ id, api }) => [id, new ApiClient([{ node: id, url: `http://${api}` }])]))
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
      this.distinctBlocks += new Set(pages.flatMap(({ blocks }) => blocks.map(({ block }) => block))).size
      await this.settleDamage(where, extent.id, pages)
      await this.settleDifferences(where, extent.id, pages)
    }
  }

  async report(): Promise<DeepReport> {
    const { extents, replicas, blocks, distinctBlocks, changing, outOfSync, findings } = this
    const more =
      this.unlisted === 0 ? [] : [`and ${counted(this.unlisted, 'more block that differs', 'more blocks that differ')}`]
    const nodes = new Set([...this.damage.nodes(), ...this.unreadable.nodes()])
    const why = (await Promise.all([...nodes].map((node) => whatBecameOf(node, this.api, this.nodes.get(node))))).flat()
    const problems = [...this.damage.lines(), ...this.unreadable.lines(), ...why, ...this.different, ...more]
    return {
      extents,
      replicas,
      blocks,
      distinctBlocks,
      changing,
      outOfSync,
      findings,
      problems,
      verdict: this.verdict(),
    }
  }

  private verdict(): Verdict {
    if (this.different.length > 0 || this.damage.isLeftOn()) return 'damaged'
    if (this.unreadable.nodes().length > 0) return 'unknown'
    return this.damage.nodes().length > 0 ? 'repaired' : 'equal'
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
          this.unreadable.add(node, where.name, (error as Error).message)
          return undefined
        }
      }),
    )
    return pages.filter((page) => page !== undefined)
  }

  /** A node repairs what a check finds damaged from another replica: its damaged blocks are read again until they are intact. */
  private async settleDamage(where: Where, extent: number, pages: readonly Page[]): Promise<void> {
    const damaged = pages.filter(({ blocks }) => blocks.some(({ intact }) => !intact))
    for (const page of damaged) {
      const found = page.blocks.filter(({ intact }) => !intact)
      const left = new Set(found.map(({ block }) => block))
      // A node that did not repair earlier damage is not waited for at every page.
      const looks = this.damage.isLeftOn(page.node) ? 2 : LOOKS
      for (let look = 1; left.size > 0 && look < looks; look++) {
        await delay(PAUSE_MS)
        const [again] = await this.readAll(where, extent, [page.node], page.firstBlock)
        if (again === undefined) break
        for (const { block, intact } of again.blocks) if (intact) left.delete(block)
      }
      for (const { block } of found) {
        const copies = copiesOf(block, pages)
        const from = copies.filter(({ node, intact, version }) => node !== page.node && intact && version !== null)
        const damage = { node: page.node, repaired: !left.has(block), from: from.map(({ node }) => node) }
        const { volume, extent: number } = where
        this.damage.add({ ...damage, name: where.name, block })
        if (this.findings.length < LISTED)
          this.findings.push({ kind: 'damaged', volume, extent: number, block, copies, damage })
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
      else this.addDifferent(where, block, text, copiesOf(block, compared))
    }
  }

  private addDifferent({ volume, extent, name }: Where, block: number, text: string, copies: readonly Copy[]): void {
    if (this.different.length >= LISTED) {
      this.unlisted++
      return
    }
    this.different.push(`${name}: block ${block} differs: ${text}`)
    if (this.findings.length < LISTED) this.findings.push({ kind: 'differs', volume, extent, block, copies })
  }

  private async stillInSync({ volume, extent }: Where): Promise<ReadonlySet<string>> {
    const now = (await this.api.extents(volume)).find((candidate) => candidate.extent === extent)
    return new Set(now === undefined ? [] : inSyncNodes(now))
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
