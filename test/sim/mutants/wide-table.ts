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
        room: 'packages/node/src/storage/replicas',
        in: 'LocalReplica.settle(block, change)',
        body: 'if (change !== undefined) this.pending.delete(block)',
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
        room: 'packages/node/src/core/replication',
        in: 'InSyncKeeper.maintain(ctx)',
        find: 'const { state } = this',
        replace: `const { state } = this
if (this.pendingAdd !== undefined && this.health.failing(ctx, this.pendingAdd) !== undefined) this.pendingAdd = this.requested = undefined`,
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
        room: 'packages/node/src/core/control',
        in: 'ControlLeader.mayHoldLease',
        find: 'this.leaseTable.get(store) !== undefined',
        replace: 'this.leaseTable.get(store)?.confirmed === true',
      },
    ],
  },
  {
    name: 'all-count-none-leaves',
    rule: 'A2.6',
    wrong: 'A store that becomes suspect waits for minInSync others also where there are no more replicas than that.',
    schedule: 'suspect-where-all-count',
    edits: [
      { room: 'packages/node/src/core/replication', in: 'enoughWithout', find: 'assigned - 1', replace: 'assigned' },
    ],
  },
  {
    name: 'missing-looks-forced',
    rule: 'A2.18-6',
    wrong: 'A missing extent of a recovered cluster is marked as after a forced promotion, so that none has an effect.',
    wide: true,
    edits: [
      {
        room: 'packages/node/src/core/control/commands',
        in: 'recoverCommands',
        find: "certainty === 'uncertain'",
        replace: "certainty === 'uncertain' || certainty === 'missing'",
      },
    ],
  },
  {
    name: 'former-voter-forgotten',
    rule: 'A2.18-7',
    wrong: 'The nodes that voted before a recovery never vote again.',
    wide: true,
    edits: [
      {
        room: 'packages/node/src/core/control/leader',
        in: 'restoreVoters(ctx, log, state)',
        find: '!log.leads',
        replace: 'state.formerVoters.length > 0 || !log.leads',
      },
    ],
  },
]
