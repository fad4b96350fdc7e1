import type { ClusterResponse } from '@ashlar/node/config'
import { AshlarError, counted, isAtLeast, MIB } from '@ashlar/proto'
import type { ApiClient } from './api-client.ts'

/** Something that only a person, or a process that does not run, can end. */
export interface Cause {
  /** Stays the same while nothing changes about it. */
  readonly key: string
  readonly text: string
}

/** What peers see of a node that starts, or that will renew its lease: it is waited for. */
const COMING: ReadonlySet<string> = new Set(['connected', 'connecting'])
/** Free space that grows by this much is progress: a removal of volumes frees it in steps. */
const SPACE_STEP = 16 * MIB

/**
 * Why waiting does not help: control has no majority, a node is down and its process does not respond, and where `whole` is
 * wanted, more than `degraded`, also full disks and losses that are not acknowledged. Empty: waiting may help, or it is not known.
 */
export async function stuckCauses(api: ApiClient, cluster: ClusterResponse, whole: boolean): Promise<Cause[]> {
  // A cluster that is not made yet waits for its nodes to start.
  if (cluster.cluster === null) return []
  if (cluster.mapIsCurrent === false) return majorityCause(cluster)
  try {
    const causes = await nodeCauses(api, whole)
    return whole ? [...causes, ...(await lossCauses(api))] : causes
  } catch (error) {
    if (error instanceof AshlarError) return []
    throw error
  }
}

function majorityCause({ voters, votersResponding = voters, majority = 0 }: ClusterResponse): Cause[] {
  if (votersResponding.length >= majority) return []
  const responding = `${votersResponding.length} of ${counted(voters.length, 'voter')}`
  return [{ key: 'majority', text: `control has no majority: ${responding} responds, and ${majority} are needed` }]
}

async function nodeCauses(api: ApiClient, whole: boolean): Promise<Cause[]> {
  const causes: Cause[] = []
  for (const { id, state, declaredLost = false, space } of await api.nodes()) {
    // Its replicas are being filled elsewhere.
    if (declaredLost) continue
    if (state === 'down') causes.push(...(await downCause(api, id)))
    if (!whole || space == null || !isAtLeast(space.level, 'tight')) continue
    const key = `space of ${id}: ${space.level}, ${Math.floor(space.freeBytes / SPACE_STEP)}`
    causes.push({ key, text: `the disk of ${id} is ${space.level}` })
  }
  return causes
}

async function downCause(api: ApiClient, id: string): Promise<Cause[]> {
  const { seenBy = [], whyDown } = await api.node(id)
  if (seenBy.some(({ saw }) => COMING.has(saw.state))) return []
  const because = whyDown?.because[0]
  return [{ key: `${id} is down`, text: `${id} is down${because === undefined ? '' : `: ${because}`}` }]
}

async function lossCauses(api: ApiClient): Promise<Cause[]> {
  const open = (await api.volumes()).filter(({ forced = [] }) => forced.some(({ acknowledged }) => !acknowledged))
  return open.map(({ name }) => {
    const text = `volume ${name} may have lost acknowledged writes, which an operator has to acknowledge`
    return { key: text, text }
  })
}

/** Causes that have lasted: a node that just restarts, or a primary that is being replaced, is none. */
export class Grace {
  private readonly graceMs: number
  private since: ReadonlyMap<string, number> = new Map()

  constructor(graceMs: number) {
    this.graceMs = graceMs
  }

  /** Of the causes that are seen now, those that have lasted for all of the grace period. */
  lasting(causes: readonly Cause[], now: number): Cause[] {
    this.since = new Map(causes.map(({ key }) => [key, this.since.get(key) ?? now]))
    return causes.filter(({ key }) => now - (this.since.get(key) ?? now) >= this.graceMs)
  }
}
