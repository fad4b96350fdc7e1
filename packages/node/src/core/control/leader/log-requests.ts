import type { AdminCommand, StoreId } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import { type CommandResult, done, type LogRequest, refused } from '../commands/index.ts'
import type { ControlLog, MembersChange, ProposalId } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { Requester } from './pending-proposals.ts'
import { notLeading } from './refusals.ts'
import type { Responses } from './responses.ts'

type ChangeMembers = Extract<AdminCommand, { do: 'change-members' }>
type Outcome = { readonly proposal: ProposalId } | CommandResult

/** Operators' requests to the log itself: changes of members, transfer of leadership. A request may be repeated. */
export class LogRequests {
  private readonly responses: Responses
  /** The response follows once another store leads, or none took over in time. */
  private transfer: { readonly requester: Requester; readonly to: StoreId } | undefined

  constructor(responses: Responses) {
    this.responses = responses
  }

  /** The proposal to wait for, or the result; undefined: `onTick` or `end` responds. */
  ask(ctx: Context, log: ControlLog, state: MapState, requester: Requester, request: LogRequest): Outcome | undefined {
    if (!log.leads) return notLeading()
    if (request.do === 'change-members') return changeMembers(ctx, log, state, request)
    if (request.store === log.leader) return done()
    const refusal = log.transferLeadership(ctx, request.store)
    if (refusal !== undefined) return refused('CONFLICT', refusal, 'see the voters with `ashlar cluster info`')
    this.transfer = { requester, to: request.store }
    return undefined
  }

  onTick(log: ControlLog, state: MapState): void {
    const transfer = this.transfer
    if (transfer === undefined || !log.leads || log.transferring) return
    this.transfer = undefined
    const name = state.nodes.get(transfer.to)?.name ?? transfer.to
    const result = refused('CONFLICT', `${name} did not take over in time`, 'see whether it is up and has caught up')
    this.responses.adminDone(transfer.requester, result, state.revision)
  }

  /** Leadership ended: the caller repeats its request at the next leader, which knows the outcome. */
  end(): void {
    if (this.transfer !== undefined) this.responses.adminDone(this.transfer.requester, notLeading(), 0)
    this.transfer = undefined
  }
}

function changeMembers(ctx: Context, log: ControlLog, state: MapState, { change, store }: ChangeMembers): Outcome {
  const { voters, learners } = log.members
  const votes = voters.some((voter) => voter.store === store)
  // The response was lost, and the request was repeated.
  if (change === 'promote' && votes) return done()
  if (change === 'add' && (votes || learners.some((learner) => learner.store === store))) return done()
  const node = state.nodes.get(store)
  if (change === 'add' && (node === undefined || node.address === ''))
    return refused('NOT_FOUND', `there is no node with store ${store}`, 'see `ashlar node ls`')
  const wanted: MembersChange =
    change === 'add' ? { do: 'add-learner', member: { store, address: node?.address ?? '' } } : { do: change, store }
  const outcome = log.changeMembers(ctx, wanted)
  if ('proposal' in outcome) return outcome
  return refused('CONFLICT', outcome.refused, 'see the voters with `ashlar cluster info`')
}
