import type { Mutant } from './mutant.ts'

const URGENCY = 'packages/proto/src/messages/urgency.ts'

/** Bugs of what goes before bulk. */
export const TRANSPORT_MUTANTS: readonly Mutant[] = (
  [
    {
      name: 'urgent-waits-its-turn',
      wrong: 'Nothing goes before bulk: renewals, pings and what voters say wait their turn on one connection.',
      edits: [{ file: URGENCY, find: 'return URGENT[message.type]', replace: 'return URGENT[message.type] && false' }],
    },
    {
      name: 'renewals-behind-bulk',
      wrong: 'Renewals of leases wait behind bulk.',
      edits: [{ file: URGENCY, find: 'renew: true,', replace: 'renew: false,' }],
    },
    {
      name: 'heartbeats-behind-bulk',
      wrong: 'What the leader of control says to other voters waits behind bulk.',
      schedule: 'heartbeats-beside-a-rebuild',
      edits: [{ file: URGENCY, find: "'append-entries': true,", replace: "'append-entries': false," }],
    },
    {
      name: 'who-follows-never-joins',
      rule: 'Amendment 37',
      wrong: 'A replica that is always a moment behind what is committed is never added.',
      schedule: 'replica-behind-a-busy-line',
      edits: [
        {
          file: 'packages/node/src/core/replication/closing-in.ts',
          find: 'if (mark !== undefined && ackedSeq >= mark.seq) return this.begin(store)',
          replace: '',
        },
      ],
    },
    {
      name: 'who-closes-in-is-asked-for-early',
      rule: 'A2.7',
      wrong: 'A replica that is a moment behind what is committed is added before it has caught up.',
      schedule: 'replica-behind-a-busy-line',
      edits: [
        {
          file: 'packages/node/src/core/replication/in-sync.ts',
          find: '(streams.get(store)?.ackedSeq ?? 0) >= extent.commitSeq',
          replace: '((streams.get(store)?.ackedSeq ?? 0) >= extent.commitSeq || this.closing.store === store)',
        },
      ],
    },
  ] as const
).map((mutant) => ({ rule: 'Amendment 36', schedule: 'leases-beside-a-rebuild', ...mutant }))
