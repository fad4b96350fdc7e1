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
  {
    name: 'failed-addition-forgotten',
    rule: 'A2.7',
    wrong: 'A pending addition whose replica fails is forgotten at once, and its request with it.',
    schedule: 'added-while-it-dies',
    edits: [
      {
        file: 'packages/node/src/core/replication/in-sync.ts',
        find: 'if (record === undefined || primary.over) return\n    this.letGo',
        replace:
          'if (this.pendingAdd !== undefined && this.failing(ctx, this.pendingAdd) !== undefined) this.pendingAdd = this.asked = undefined\n    if (record === undefined || primary.over) return\n    this.letGo',
      },
    ],
  },
  {
    name: 'attach-waits-for-heard',
    rule: 'amendment 4',
    wrong: 'An attachment waits only for primaries that the new leader of control has heard itself.',
    wide: true,
    edits: [
      {
        file: 'packages/node/src/core/control/leader.ts',
        find: '#mayHoldLease = (store: StoreId): boolean => this.#leases.get(store) !== undefined',
        replace: '#mayHoldLease = (store: StoreId): boolean => this.#leases.get(store)?.confirmed === true',
      },
    ],
  },
  {
    name: 'all-count-none-leaves',
    rule: 'A2.6',
    wrong: 'A store that doubts itself waits for minInSync others also where there are no more replicas than that.',
    schedule: 'doubt-where-all-count',
    edits: [
      {
        file: 'packages/node/src/core/replication/hand-over.ts',
        find: 'return Math.max(1, Math.min(minInSync, assigned - 1))',
        replace: 'return Math.max(1, Math.min(minInSync, assigned))',
      },
    ],
  },
]
