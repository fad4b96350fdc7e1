import type { Mutant } from './mutant.ts'

const PROTO = 'packages/proto/src'

/** Bugs of what goes before bulk. */
export const TRANSPORT_MUTANTS: readonly Mutant[] = (
  [
    {
      name: 'urgent-waits-its-turn',
      wrong: 'Nothing goes before bulk: renewals, pings and what voters say wait their turn on one connection.',
      edits: [{ room: PROTO, in: 'isUrgent', body: 'return false' }],
    },
    {
      name: 'renewals-behind-bulk',
      wrong: 'Renewals of leases wait behind bulk.',
      edits: [{ room: PROTO, in: 'URGENT.renew', body: 'false' }],
    },
    {
      name: 'heartbeats-behind-bulk',
      wrong: 'What the leader of control says to other voters waits behind bulk.',
      schedule: 'heartbeats-beside-a-rebuild',
      edits: [{ room: PROTO, in: 'URGENT.append-entries', body: 'false' }],
    },
    {
      name: 'follower-never-joins',
      rule: 'Amendment 37',
      wrong: 'A replica that is always a moment behind what is committed is never added.',
      schedule: 'replica-behind-a-busy-line',
      edits: [
        {
          room: 'packages/node/src/core/replication',
          in: 'CatchUp.look',
          find: 'if (mark !== undefined && ackedSeq >= mark.seq) return this.begin(store)',
          replace: '',
        },
      ],
    },
    {
      name: 'closing-in-requested-early',
      rule: 'A2.7',
      wrong: 'A replica that is a moment behind what is committed is added before it has caught up.',
      schedule: 'replica-behind-a-busy-line',
      edits: [
        {
          room: 'packages/node/src/core/replication',
          in: 'InSyncKeeper.hasCaughtUp',
          find: '(streams.get(store)?.ackedSeq ?? 0) >= extent.commitSeq',
          replace: '(streams.get(store)?.ackedSeq ?? 0) >= extent.commitSeq || this.catchUp.store === store',
        },
      ],
    },
  ] as const
).map((mutant) => ({ rule: 'Amendment 36', schedule: 'leases-beside-a-rebuild', ...mutant }))
