import { AshlarError, counted } from '@ashlar/proto'
import type { ApiClient } from '../api-client.ts'

/** Ranges of blocks of an extent, and extents, that one line names. */
const NAMED = 8

/** A block whose bytes are missing or do not match their checksum on a node. */
interface DamagedBlock {
  readonly node: string
  /** VOLUME/NUMBER of its extent. */
  readonly name: string
  readonly block: number
  readonly repaired: boolean
  /** Nodes with a good copy. */
  readonly from: readonly string[]
}

/** Damaged blocks by node, as lines for people. */
export class Damage {
  private readonly byNode = new Map<string, DamagedBlock[]>()
  add(block: DamagedBlock): void {
    const blocks = this.byNode.get(block.node) ?? []
    this.byNode.set(block.node, blocks)
    blocks.push(block)
  }

  nodes(): string[] {
    return [...this.byNode.keys()]
  }

  /** Damage that was not repaired: on one node, or on any. */
  isLeftOn(node?: string): boolean {
    const blocks = node === undefined ? [...this.byNode.values()].flat() : (this.byNode.get(node) ?? [])
    return blocks.some(({ repaired }) => !repaired)
  }

  lines(): string[] {
    return [...this.byNode].map(([node, blocks]) => {
      const what = `${counted(blocks.length, 'damaged block')} on ${node}, found by this check`
      return `${what}${outcomeOf(blocks)}: ${placesOf(blocks)}`
    })
  }
}

function outcomeOf(blocks: readonly DamagedBlock[]): string {
  const repaired = blocks.filter((block) => block.repaired)
  const sources = [...new Set(repaired.flatMap(({ from }) => from))].sort()
  const from = sources.length === 0 ? 'repaired' : `repaired from ${sources.join(' or ')}`
  const left = blocks.length - repaired.length
  if (left === 0) return ` and ${from}`
  return repaired.length === 0 ? ' and not repaired' : `, ${repaired.length} of them ${from}, ${left} not repaired`
}

/** `demo/0 blocks 3-5, 9; demo/1 block 7`. */
function placesOf(blocks: readonly DamagedBlock[]): string {
  const byExtent = Map.groupBy(blocks, ({ name }) => name)
  return listed(
    [...byExtent].map(([name, of]) => `${name} ${of.length === 1 ? 'block' : 'blocks'} ${listed(rangesOf(of))}`),
    '; ',
  )
}

function rangesOf(blocks: readonly DamagedBlock[]): string[] {
  const ranges: { first: number; last: number }[] = []
  for (const { block } of blocks) {
    const open = ranges.at(-1)
    if (open !== undefined && block === open.last + 1) open.last = block
    else ranges.push({ first: block, last: block })
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
}

/** Replicas that could not be read, by node. */
export class Unreadable {
  private readonly byNode = new Map<string, { readonly extents: Set<string>; readonly because: string }>()

  add(node: string, extent: string, because: string): void {
    const known = this.byNode.get(node) ?? { extents: new Set(), because }
    this.byNode.set(node, known)
    known.extents.add(extent)
  }

  nodes(): string[] {
    return [...this.byNode.keys()]
  }

  lines(): string[] {
    return [...this.byNode].map(([node, { extents, because }]) => {
      const what = `${counted(extents.size, 'replica')} on ${node} could not be read`
      return `${what}, and ${extents.size === 1 ? 'was' : 'were'} not compared further: ${listed([...extents])}: ${because}`
    })
  }
}

function listed(names: readonly string[], separator = ', '): string {
  const more = names.length - NAMED
  return more <= 0 ? names.join(separator) : `${names.slice(0, NAMED).join(separator)} and ${more} more`
}

/**
 * Why a node with damage leaves the in-sync sets and what its scrub found before, or why it is down, as far as it or its peers
 * report that.
 */
export async function whatBecameOf(node: string, api: ApiClient, its: ApiClient | undefined): Promise<string[]> {
  const scrub = await orUndefined(its?.scrub())
  if (scrub !== undefined) {
    const { reasonToLeave, current, last } = scrub
    const passes = [current, last].filter((pass) => pass != null && pass.damagedBlocks > 0)
    return [
      ...passes.map(
        (pass) =>
          `the scrub of ${node} found ${counted(pass?.damagedBlocks ?? 0, 'damaged block')} in its pass of ${pass?.startedAt}`,
      ),
      ...(reasonToLeave === null ? [] : [`the store of ${node} is suspect: ${reasonToLeave}`]),
    ]
  }
  const described = await orUndefined(api.node(node))
  if (described === undefined) return []
  const { state, whyDown } = described
  // Its peers may see why before its lease has run out.
  if (state !== 'down' && whyDown == null) return []
  const because = whyDown?.because ?? []
  return [
    `${node} ${state === 'down' ? 'is down' : 'does not respond'}${because.length === 0 ? '' : `: ${because.join('; ')}`}`,
  ]
}

/** The response, or undefined where there is none. */
async function orUndefined<T>(response: Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await response
  } catch (error) {
    if (error instanceof AshlarError) return undefined
    throw error
  }
}
