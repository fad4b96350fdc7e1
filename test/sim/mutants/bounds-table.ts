import type { Mutant } from './mutant.ts'

const CORE = 'packages/node/src/core'

/** Bugs of what grows, and of sessions that end. */
export const BOUNDS_MUTANTS: readonly Mutant[] = [
  {
    name: 'windows-stay',
    rule: 'Amendment 31',
    wrong: 'Stores never forget the windows of sessions that are over.',
    schedule: 'sessions-come-and-go',
    edits: [{ room: `${CORE}/replication`, in: 'Sessions.forgetEnded', body: 'return false' }],
  },
  {
    name: 'silent-holders-stay',
    rule: 'Amendment 31',
    wrong: 'A client that died holds its place in a shared volume for good.',
    schedule: 'sessions-come-and-go',
    edits: [{ room: `${CORE}/control`, in: 'Presence.silent', find: 'renews === true', replace: 'renews !== true' }],
  },
  {
    name: 'ended-session-writes',
    rule: 'Amendment 31',
    wrong: 'A primary takes operations of every session of the generation, also of one that control ended.',
    schedule: 'write-of-an-ended-session',
    edits: [{ room: `${CORE}/replication`, in: 'Sessions.holds', find: 'FEATURES.endedSessions', replace: '99' }],
  },
  {
    name: 'tombstones-dropped',
    rule: 'Amendment 32',
    wrong: 'Tombstones beyond the latest go, although a store that is away still needs them.',
    schedule: 'removed-while-away',
    edits: [
      {
        room: 'packages/proto/src',
        in: 'Tombstones.compact',
        find: 'this.join({ first: volume, last: volume })',
        replace: 'void volume',
      },
      { room: 'packages/proto/src', in: 'LIMITS.tombstones', body: '1' },
    ],
  },
]
