import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'

/** Bugs of what is done about disks that run full (amendment 17), on clusters whose disks do. */
export const SPACE_MUTANTS: readonly Mutant[] = [
  {
    name: 'tight-store-allocates',
    wrong: 'A primary orders writes of new blocks, though a member of its ack set is short of space.',
    edits: [{ room: REPLICATION, in: 'Writes.prepare', find: "space === 'tight'", replace: "space === 'full'" }],
  },
  {
    name: 'full-store-overwrites',
    wrong: 'A primary orders writes that free nothing, though a member of its ack set is full.',
    edits: [
      {
        room: REPLICATION,
        in: 'Writes.prepare',
        find: "this.drop(ctx, write, 'NO_SPACE')",
        replace: 'this.prepareOverwrite(ctx, write, write.message)',
      },
    ],
  },
  {
    name: 'space-of-the-primary-alone',
    wrong: 'A primary looks at its own disk only.',
    edits: [
      {
        room: REPLICATION,
        in: 'leastSpace',
        find: "STORE_SPACES.indexOf(streams.get(store)?.space ?? 'free')",
        replace: '0',
      },
    ],
  },
  {
    name: 'full-replica-filled',
    wrong: 'A replica that need not acknowledge stores what it is copied, although its mark is passed.',
    edits: [{ room: REPLICATION, in: 'OutStream.lacksSpace', body: 'return false' }],
  },
  {
    name: 'space-never-short',
    wrong: 'A replica reports that it has space, whatever its disk says.',
    edits: [
      {
        room: REPLICATION,
        in: 'ReplicaRole.endStep',
        find: 'this.services.space()',
        replace: "({ ...this.services.space(), space: 'free' })",
      },
    ],
  },
  {
    name: 'space-not-reported',
    wrong:
      'A replica that has space again does not report it: where all of them refuse writes, no primary ever learns it.',
    edits: [
      {
        room: REPLICATION,
        in: 'Replication.onTick',
        find: 'this.space.takeChange(ctx)',
        replace: 'this.space.takeChange(ctx) && ctx.now < 0',
      },
    ],
    schedule: 'every-disk-full',
  },
  {
    name: 'held-blocks-forgotten',
    wrong: 'Blocks that waited for space at a replica go on waiting when there is some.',
    edits: [
      {
        room: REPLICATION,
        in: 'OutStream.onAck',
        find: '!this.lacksSpace',
        replace: '!this.lacksSpace && this.marked',
      },
    ],
    schedule: 'full-replica-returns',
  },
  {
    name: 'no-space-acknowledged',
    wrong: 'A write that found no space is answered as if it had been done.',
    edits: [
      {
        room: REPLICATION,
        in: 'Writes.prepareOverwrite',
        find: "this.drop(later, write, 'NO_SPACE')",
        replace: "this.drop(later, write, 'OK')",
      },
    ],
  },
  {
    name: 'refused-write-done-later',
    wrong: 'A write that was refused for lack of space is kept, and done when others leave the queue.',
    edits: [
      {
        room: REPLICATION,
        in: 'Writes.drop(ctx, write, code)',
        find: 'this.runQueue(ctx)',
        replace: `if (code === 'NO_SPACE' && write.message.type === 'write') this.queue.push({ ...write, changes: [], replies: [], settled: false })
else this.runQueue(ctx)`,
      },
    ],
  },
  {
    name: 'placed-on-filling-disks',
    wrong: 'Extents are placed without a look at the space on disks.',
    edits: [
      {
        room: 'packages/node/src/core/control',
        in: 'Leases.filling',
        find: "(this.leases.get(store)?.space ?? 'free') !== 'free'",
        replace: "(this.leases.get(store)?.space ?? 'free') === 'none'",
      },
    ],
    schedule: 'placed-where-there-is-space',
  },
  {
    name: 'no-space-waited-for',
    wrong: 'A client holds a write that found no space, and retries it until its time is over.',
    edits: [{ room: 'packages/client/src/core', in: 'RETRY.NO_SPACE.action', body: "'wait'" }],
    schedule: 'every-disk-full',
  },
].map((mutant) => ({ rule: 'Amendment 17', voters: 3, fullDisks: true, ...mutant }))
