import type { NodeRecord, StoreId } from '@ashlar/proto'
import { type Cause, nodeName, type Reach } from './health.ts'
import type { NodeView } from './node-view.ts'
import type { PeerResponses } from './peers.ts'
import { counted, share } from './plurals.ts'
import type { LocalResponse } from './schemas.ts'
import { refusalOf } from './space.ts'

/** A voter of control's log, as the node that reports sees it. */
export interface VoterContact {
  readonly store: StoreId
  /** Name of its node; its address where the map has no name for it. */
  readonly name: string
  /** Where peers dial it. */
  readonly address: string
  /** Frames of it arrive, or it is this store. */
  readonly responds: boolean
}

/**
 * How a node stands with control. Without a lease and a leader its map may be old: then it says so, and says nothing of the
 * present.
 */
export interface Contact {
  /** Why this node does not know the present state of the cluster; undefined while it does. */
  readonly lost: Cause | undefined
  readonly voters: readonly VoterContact[]
  /** Voters that control needs to decide anything. */
  readonly majority: number
}

export function contactOf(view: NodeView): Contact {
  const voters = view.voters.map(({ store, address }) => ({
    store,
    name: view.map.nodes.get(store)?.name ?? view.devNameOf(address) ?? address,
    address: view.map.nodes.get(store)?.address || address,
    responds: store === view.store || view.hears(store),
  }))
  const majority = Math.floor(voters.length / 2) + 1
  const current = view.map.cluster !== undefined && view.leaseHeld && view.leader !== undefined
  return { voters, majority, lost: current || voters.length === 0 ? undefined : whyLost(view, voters, majority) }
}

/**
 * True when too few voters respond for control to decide anything, as far as this node hears. `notVoting`: those that respond
 * and cannot vote.
 */
export function isCutOff({ voters, majority }: Contact, notVoting = 0): boolean {
  return voters.length > 0 && responding(voters).length - notVoting < majority
}

function whyLost(view: NodeView, voters: readonly VoterContact[], majority: number): Cause {
  const there = responding(voters)
  const names = there.length === 0 ? '' : ` (${there.map(({ name }) => name).join(', ')})`
  const answer = `${share(there.length, voters.length, 'voter', 'responds', 'respond')}${names}`
  const of = (problem: string, waitsFor: string): Cause => {
    const sentence = `${problem}; ${describeAge(view)}`
    return { problem: sentence, waitsFor: [waitsFor], reason: sentence }
  }
  if (there.length < majority) {
    const silent = voters.filter(({ responds }) => !responds).map(({ name }) => name)
    const missing = counted(majority - there.length, 'more voter')
    return of(
      `${view.name} is cut off from control: ${answer}, and control needs ${majority}`,
      `${missing} to respond, of ${silent.join(', ')}`,
    )
  }
  if (view.leader === undefined)
    return of(`${view.name} knows no leader of control, although ${answer}`, 'a leader of control')
  const leader = nodeName(view.map, view.leader)
  const why = view.readiness.ready ? '' : `: ${view.readiness.reason}`
  return of(`${view.name} has no lease of ${leader}, which leads control${why}`, `${leader} to renew its lease`)
}

function describeAge(view: NodeView): string {
  const { mapAgeMs } = view
  if (mapAgeMs !== undefined) return `its map is from ${timeOf(mapAgeMs)}, ${describeMs(mapAgeMs)} old`
  const received = view.map.cluster !== undefined
  return received ? 'how old its map is, is unknown' : 'it has received no map since it started'
}

/** When this node's map was current, by its wall clock. */
export function timeOf(ageMs: number): string {
  return `${new Date(Date.now() - ageMs).toISOString().slice(0, 19)}Z`
}

export function describeMs(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}

export function responding(voters: readonly VoterContact[]): VoterContact[] {
  return voters.filter(({ responds }) => responds)
}

/** Its lease has not ended, and this node receives nothing from it. */
export function isSilent(view: NodeView, { store, state, address }: NodeRecord): boolean {
  return state !== 'down' && address !== '' && store !== view.store && !view.hears(store)
}

/** What this node can say of the other stores at the moment. `locals`: what they report, where that was requested. */
export function reachOf(view: NodeView, locals: PeerResponses<LocalResponse> = new Map()): Reach {
  const { lost } = contactOf(view)
  return {
    ...(lost === undefined ? {} : { lost }),
    isSilent: (store) => {
      const node = view.map.nodes.get(store)
      return node !== undefined && isSilent(view, node)
    },
    refusal: (store) => refusalOf(view, locals, store),
  }
}
