import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'
const RAFT = 'packages/node/src/core/raft'

/** Bugs that show where one thing stays broken and the rest is whole. */
export const LIVENESS_MUTANTS: readonly Mutant[] = [
  {
    name: 'confirmed-below-min-in-sync',
    rule: 'Amendment 27',
    wrong: 'A read without a lease is answered on confirmations of an in-sync set that is below minInSync.',
    edits: [
      {
        room: REPLICATION,
        in: 'Confirmations.possible',
        find: 'this.others().length > 0 && keeper.enoughInSync()',
        replace: 'this.others().length > 0',
      },
    ],
    schedule: 'reads-below-min-in-sync',
  },
  {
    name: 'cut-off-since-the-link-closed',
    rule: 'Amendment 27',
    wrong: 'A store whose connection closed looks cut off before control can have missed it.',
    edits: [
      {
        room: REPLICATION,
        in: 'InSyncKeeper.leaving',
        find: 'this.health.lastFrameAt',
        replace: 'this.health.heardAt',
      },
    ],
    schedule: 'two-replicas-start-again',
  },
  {
    name: 'silent-store-added',
    rule: 'Amendment 27',
    wrong: 'A store that sends nothing is added to the in-sync set, since it has acknowledged everything.',
    edits: [
      {
        room: REPLICATION,
        in: 'InSyncKeeper.mayBeAdded',
        find: 'stream?.marked === true && this.health.failing(ctx, store) === undefined',
        replace: 'stream?.marked === true',
      },
    ],
    schedule: 'two-replicas-silent',
  },
  {
    name: 'complete-not-reported',
    rule: 'Amendment 27',
    wrong:
      'A primary does not name the complete stores: control forgets the first of two that die, though no client wrote.',
    edits: [
      {
        room: REPLICATION,
        in: 'InSyncKeeper.request',
        find: 'isShort ? this.complete.outside(inSync, control.map) : []',
        replace: '[]',
      },
    ],
    schedule: 'kept-one-after-the-other',
  },
  {
    name: 'complete-in-spite-of-commits',
    rule: 'Amendment 27',
    wrong: 'A primary names stores that hold not all that it committed.',
    edits: [{ room: REPLICATION, in: 'Commits.advance', find: 'keeper.complete.committed(ackSet)', replace: '' }],
    schedule: 'kept-with-the-last-writes',
  },
  {
    name: 'hung-leader-stays',
    rule: 'Amendment 28',
    wrong: 'A leader of control whose disk hangs goes on leading, and control decides nothing.',
    edits: [
      {
        room: `${RAFT}/roles`,
        in: 'Leader.leaveIfDiskHangs',
        find: 'if (!this.core.diskHangs(ctx.now)) return this.triedToLeave.clear()',
        replace: 'return this.triedToLeave.clear()',
      },
    ],
    schedule: 'hung-log-of-the-leader',
  },
  {
    name: 'reads-without-age',
    rule: 'Amendment 29',
    wrong: 'A primary whose disk answers no read keeps its extent as long as no client writes.',
    edits: [
      {
        room: REPLICATION,
        in: 'OwnDisk.isSlow',
        find: 'this.reading',
        replace: 'false',
      },
    ],
    schedule: 'hung-reads',
  },
  {
    name: 'suspect-never-counts',
    rule: 'Amendment 11',
    wrong: 'A suspect store waits for members that are trusted, also where others were compared and are in sync.',
    edits: [
      {
        room: REPLICATION,
        in: 'othersUp',
        find: "store !== self && nodes.get(store)?.state === 'up'",
        replace: "store !== self && nodes.get(store)?.state === 'up' && nodes.get(store)?.trust === 'trusted'",
      },
    ],
    schedule: 'suspect-beside-a-compared-store',
  },
  {
    name: 'suspect-until-restarted',
    rule: 'A2.17-4',
    wrong: 'Control keeps a compared store suspect, so that no other member may take over.',
    edits: [
      {
        room: 'packages/node/src/core/control',
        in: 'applyClearSuspicion',
        find: 'node === undefined',
        replace: 'node !== undefined',
      },
    ],
    schedule: 'dead-primary-after-a-reconciliation',
  },
  {
    name: 'late-release-taken',
    rule: 'Amendment 38',
    wrong: 'Control takes the release of a slow primary whatever became of the record since it was sent.',
    edits: [
      {
        room: 'packages/node/src/core/control',
        in: 'applyRelease',
        find: 'record.revision !== revision',
        replace: 'record.revision < (revision ?? 0)',
      },
    ],
    schedule: 'late-release',
  },
  {
    name: 'slow-stays-in-sync',
    rule: 'Amendment 18',
    wrong: 'A primary whose disk hangs stays in sync, and its successor waits for the same disk.',
    edits: [
      {
        room: 'packages/node/src/core/control',
        in: 'reasonOf',
        find: 'featureLevel >= FEATURES.slowLeaves',
        replace: 'featureLevel > FEATURES.slowLeaves',
      },
    ],
    schedule: 'hung-disk-of-a-primary',
  },
]
