import { LIMITS, type StoreId, type Voter } from '@ashlar/proto'
import type { Command, Members, MembersChange } from '../control/log/index.ts'

export const NOBODY: Members = { voters: [], learners: [] }

/** Members that a command brings, or undefined: they hold from the moment at which its entry is in the log. */
export function membersOf(command: Command): Members | undefined {
  if (command.do === 'found') return { voters: command.voters, learners: [] }
  if (command.do === 'set-members') return { voters: command.voters, learners: command.learners }
  return undefined
}

export function isVoter(members: Members, store: StoreId): boolean {
  return members.voters.some((voter) => voter.store === store)
}

export function isMember(members: Members, store: StoreId): boolean {
  return isVoter(members, store) || members.learners.some((learner) => learner.store === store)
}

export function allMembers(members: Members): readonly Voter[] {
  return [...members.voters, ...members.learners]
}

/** True when `count` voters are a majority. No count is a majority of no voters. */
export function isMajority(members: Members, count: number): boolean {
  return 2 * count > members.voters.length
}

/** The highest value that a majority of voters has reached. `of` gives each voter's. -Infinity without voters. */
export function majorityReached(members: Members, of: (store: StoreId) => number): number {
  const values = members.voters.map((voter) => of(voter.store)).sort((a, b) => b - a)
  return values[Math.floor(values.length / 2)] ?? Number.NEGATIVE_INFINITY
}

/** The members after a change, or why it cannot be made. */
export function changedMembers(members: Members, change: MembersChange): Members | string {
  const { voters, learners } = members
  if (change.do === 'add-learner') {
    if (isMember(members, change.member.store)) return `store ${change.member.store} is a member already`
    if (learners.length >= LIMITS.nodes) return `there are ${LIMITS.nodes} learners, which is as many as there may be`
    return { voters, learners: [...learners, change.member] }
  }
  const { store } = change
  const isOther = (member: Voter) => member.store !== store
  if (change.do === 'promote') {
    const learner = learners.find((member) => member.store === store)
    if (learner === undefined) return `store ${store} is no learner`
    if (voters.length >= LIMITS.voters) return `there are ${LIMITS.voters} voters, which is as many as there may be`
    return { voters: [...voters, learner], learners: learners.filter(isOther) }
  }
  if (!isMember(members, store)) return `store ${store} is no member`
  if (voters.every((voter) => voter.store === store)) return `store ${store} is the only voter`
  return { voters: voters.filter(isOther), learners: learners.filter(isOther) }
}
