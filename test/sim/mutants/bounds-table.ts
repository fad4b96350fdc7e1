import type { Mutant } from './mutant.ts'

const CORE = 'packages/node/src/core'

/** Bugs of what grows, and of sessions that end. */
export const BOUNDS_MUTANTS: readonly Mutant[] = [
  {
    name: 'windows-stay',
    rule: 'Amendment 31',
    wrong: 'Stores never forget the windows of sessions that are over.',
    schedule: 'sessions-come-and-go',
    edits: [
      {
        file: `${CORE}/replication/sessions.ts`,
        find: 'windows.drop(over)\n    return over.length > 0',
        replace: 'return false',
      },
    ],
  },
  {
    name: 'silent-holders-stay',
    rule: 'Amendment 31',
    wrong: 'A client that died holds its place in a shared volume for good.',
    schedule: 'sessions-come-and-go',
    edits: [{ file: `${CORE}/control/presence.ts`, find: 'renews === true &&', replace: 'renews !== true &&' }],
  },
  {
    name: 'ended-session-writes',
    rule: 'Amendment 31',
    wrong: 'A primary takes operations of every session of the generation, also of one that control ended.',
    schedule: 'write-of-an-ended-session',
    edits: [
      {
        file: `${CORE}/replication/sessions.ts`,
        find: 'map.featureLevel < FEATURES.endedSessions) return true',
        replace: 'map.featureLevel < 99) return true',
      },
    ],
  },
  {
    name: 'tombstones-dropped',
    rule: 'Amendment 32',
    wrong: 'Tombstones beyond the latest go, although a store that is away still needs them.',
    schedule: 'removed-while-away',
    edits: [
      {
        file: 'packages/proto/src/tombstones.ts',
        find: 'this.#join({ first: volume, last: volume })',
        replace: 'void volume',
      },
      { file: 'packages/proto/src/limits.ts', find: 'tombstones: 1024,', replace: 'tombstones: 1,' },
    ],
  },
]
