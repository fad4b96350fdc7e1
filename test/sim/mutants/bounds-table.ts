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
    name: 'attach-ends-later-sessions',
    rule: 'A2.11-11',
    wrong: 'Of two clients that look at a silent holder at once the second ends the session of the first.',
    schedule: 'attached-by-policy',
    edits: [
      {
        room: `${CORE}/control`,
        in: 'refusalOf',
        find: 'replaces?.includes(session) !== true',
        replace: 'replaces === undefined',
      },
    ],
  },
  {
    name: 'look-takes-the-volume',
    rule: 'A2.11-12',
    wrong: 'Exclusive holders are not heard of, so that a look takes the volume of one that writes.',
    schedule: 'attached-by-policy',
    edits: [{ room: `${CORE}/control`, in: 'Presence.silentMs', body: 'return Number.POSITIVE_INFINITY' }],
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
