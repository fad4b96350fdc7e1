import { type CommandResult, refused } from '../commands/index.ts'
import type { Pending } from './pending-proposals.ts'
import type { Responses } from './responses.ts'

/**
 * Responds that this process does not lead; the command may still take effect. A change of a set gets no response: its
 * sender repeats it at the next leader, and must not take this for a refusal.
 */
export function refuse(responses: Responses, pending: Pending): void {
  switch (pending.kind) {
    case 'register':
      return responses.registered(pending.requester, 'NO_CONTROL', 'this node does not lead control', 0)
    case 'release':
      return responses.released(pending.requester, 'NO_CONTROL')
    case 'admin':
      return responses.adminDone(pending.requester, notLeading(), 0)
    case 'change-sets':
    case 'expire':
    case 'promote':
    case 'raise-epochs':
    case 'clear-suspicion':
    case 'note-ending':
    case 'raise-feature-level':
    case 'end-session':
      return
  }
}

export function notLeading(): CommandResult {
  return refused('NO_CONTROL', 'this node does not lead control; the command may still take effect', 'try again')
}
