import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AshlarError } from '@ashlar/proto'
import type { PlannedGateway, PlannedNode } from './plan.ts'

/** What `ashlar dev` writes down of its processes, so that `dev stop` and `dev start` find them: DIR/dev.json. */
export interface DevState {
  /** Process of `ashlar dev` itself. */
  readonly pid: number
  readonly apiPort: number
  readonly nodes: readonly (PlannedNode & { readonly pid: number })[]
  readonly gateway: (PlannedGateway & { readonly pid: number }) | undefined
}

const FILE = 'dev.json'

/** Undefined when there was no development cluster in the directory yet. */
export async function readState(directory: string): Promise<DevState | undefined> {
  let text: string
  try {
    text = await readFile(join(directory, FILE), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new AshlarError('INTERNAL', `${join(directory, FILE)}: ${(error as Error).message}`, { cause: error })
  }
  const state = parseState(text)
  if (state !== undefined) return state
  throw new AshlarError('INTERNAL', `${join(directory, FILE)} is damaged`, {
    hint: 'remove it: the data of the nodes is not in it',
  })
}

/** Undefined for what this program did not write. */
function parseState(text: string): DevState | undefined {
  try {
    const { pid, apiPort, nodes, gateway } = JSON.parse(text) as Partial<DevState>
    const processes = gateway === undefined ? (nodes ?? []) : [...(nodes ?? []), gateway]
    const whole =
      Number.isSafeInteger(pid) &&
      Number.isSafeInteger(apiPort) &&
      Array.isArray(nodes) &&
      processes.every((process) => Number.isSafeInteger(process.pid) && Array.isArray(process.command))
    return whole ? (JSON.parse(text) as DevState) : undefined
  } catch {
    return undefined
  }
}

/** Replaces the file as a whole: a reader finds the old one or the new one. */
export async function writeState(directory: string, state: DevState): Promise<void> {
  await mkdir(directory, { recursive: true })
  const partial = join(directory, `${FILE}.${process.pid}`)
  await writeFile(partial, `${JSON.stringify(state, undefined, 2)}\n`)
  await rename(partial, join(directory, FILE))
}

/** The same state with another process for a node, or for the `gateway`. */
export function withPid(state: DevState, id: string, pid: number): DevState {
  if (id === 'gateway')
    return { ...state, gateway: state.gateway === undefined ? undefined : { ...state.gateway, pid } }
  return { ...state, nodes: state.nodes.map((node) => (node.id === id ? { ...node, pid } : node)) }
}
