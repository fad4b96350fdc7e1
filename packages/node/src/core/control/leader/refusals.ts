import { type CommandResult, refused } from '../commands/index.ts'
import type { Owed } from './pending-proposals.ts'
import type { Answers } from './responses.ts'

/**
 * This process does not lead (any more); the command may still take effect. A change of a set gets no answer: its sender
 * asks the next leader, and must not take this for a refusal.
 */
export function refuse(answers: Answers, owed: Owed): void {
  switch (owed.kind) {
    case 'register':
      return answers.registered(owed.asker, 'NO_CONTROL', 'this node does not lead control', 0)
    case 'release':
      return answers.released(owed.asker, 'NO_CONTROL')
    case 'admin':
      return answers.adminDone(owed.asker, notLeading(), 0)
    case 'change-sets':
    case 'expire':
    case 'promote':
    case 'raise-epochs':
    case 'raise-feature-level':
    case 'end-session':
      return
  }
}

export function notLeading(): CommandResult {
  return refused('NO_CONTROL', 'this node does not lead control; the command may still take effect', 'try again')
}
