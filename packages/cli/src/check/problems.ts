import { AshlarError, counted } from '@ashlar/proto'
import type { ApiClient } from '../api-client.ts'

/** Ranges of blocks, or extents, that one line names. */
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
      return `${what}${outcomeOf(blocks)}: ${listed(rangesOf(blocks))}`
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

/** `demo/0 blocks 3-5`, `demo/0 block 9`, in order. */
function rangesOf(blocks: readonly DamagedBlock[]): string[] {
  const ranges: { name: string; first: number; last: number }[] = []
  for (const { name, block } of blocks) {
    const open = ranges.at(-1)
    if (open?.name === name && block === open.last + 1) open.last = block
    else ranges.push({ name, first: block, last: block })
  }
  return ranges.map(
    ({ name, first, last }) => `${name} ${first === last ? `block ${first}` : `blocks ${first}-${last}`}`,
  )
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

function listed(names: readonly string[]): string {
  const more = names.length - NAMED
  return more <= 0 ? names.join(', ') : `${names.slice(0, NAMED).join(', ')} and ${more} more`
}

/** Why a node with damage leaves the in-sync sets, or why it is down, as far as it or its peers report that. */
export async function whatBecameOf(node: string, api: ApiClient, its: ApiClient | undefined): Promise<string[]> {
  const scrub = await orUndefined(its?.scrub())
  if (scrub !== undefined) {
    const { reasonToLeave } = scrub
    return reasonToLeave === null ? [] : [`the store of ${node} is suspect: ${reasonToLeave}`]
  }
  const described = await orUndefined(api.node(node))
  if (described?.state !== 'down') return []
  return [`${node} is down${(described.whyDown?.because ?? []).map((line) => `: ${line}`).join('')}`]
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
