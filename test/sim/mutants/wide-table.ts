import type { Mutant } from './mutant.ts'

/** Bugs that the wide family of seeds is there to meet. */
export const WIDE_MUTANTS: readonly Mutant[] = [
  {
    name: 'settle-forgets-newer',
    rule: 'amendment 12',
    wrong: 'A store forgets a change of a block that waits for its batch when an older one reached stable storage.',
    wide: true,
    edits: [
      {
        file: 'packages/node/src/storage/replicas/replica.ts',
        find: 'if (this.pending.get(block) === change) this.pending.delete(block)',
        replace: 'if (change !== undefined) this.pending.delete(block)',
      },
    ],
  },
]
