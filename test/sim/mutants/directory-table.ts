import type { Mutant } from './mutant.ts'

/** Bugs of what becomes of data directories that go back, and of stores that lose their end without a sign. */
export const DIRECTORY_MUTANTS: readonly Mutant[] = [
  {
    name: 'opening-without-a-number',
    rule: 'amendment 33',
    wrong: 'Control takes an equal start counter on the same boot for the same incarnation, whatever number it drew.',
    edits: [
      {
        room: 'packages/node/src/core/control',
        in: 'isSameIncarnation',
        find: 'node.incarnation.bootId === command.incarnation.bootId',
        replace: "node.incarnation.bootId.split('/')[0] === command.incarnation.bootId.split('/')[0]",
      },
    ],
    schedule: 'store-rolled-back',
  },
  {
    name: 'log-mark-without-its-entry',
    rule: 'amendment 34, raft pitfall 25',
    wrong: 'An old copy of the control log passes, as long as it is one of the same term with the same vote.',
    edits: [
      {
        room: 'packages/node/src/core/raft',
        in: 'isBehindMark(mark)',
        find: 'lastIndex < mark.index',
        replace: 'false',
      },
    ],
    schedule: 'control-log-rolled-back',
  },
  {
    name: 'no-mark-outside-the-directory',
    rule: 'A2.20-5, raft pitfall 25',
    wrong: 'Only the data directory records what a voter sent, and it goes back as a whole.',
    edits: [
      {
        room: 'packages/node/src/core/raft',
        in: 'newerMark(a, b)',
        body: `if (a.term !== b.term) return a.term > b.term ? a : b
return a`,
      },
    ],
    schedule: 'voter-rolled-back',
  },
  {
    name: 'no-log-is-no-old-copy',
    rule: 'A2.20-5, raft pitfall 25',
    wrong:
      'A log is compared with its marks only where there is one: a directory from before the store voted is believed.',
    edits: [{ room: 'packages/node/src/core/raft', in: 'keptLog', body: 'return false' }],
    schedule: 'voter-rolled-back-to-no-log',
  },
  {
    name: 'lone-voter-asks-others',
    rule: 'A2.20-5',
    wrong: 'The only voter starts over an older copy of its directory, as if others could fill its log.',
    edits: [{ room: 'packages/node/src/core/raft', in: 'othersKeepLog(voters)', body: 'return voters.length > 0' }],
    schedule: 'lone-voter-rolled-back',
  },
]
