import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'

/** Bugs of what is done about disks that run full (amendment 17), on clusters whose disks do. */
export const SPACE_MUTANTS: readonly Mutant[] = [
  {
    name: 'tight-store-allocates',
    wrong: 'A primary orders writes of new blocks, though a member of its ack set is short of room.',
    edits: [
      {
        file: `${REPLICATION}/writes.ts`,
        find: "if (space === 'tight') return this.prepareOverwrite(ctx, write, write.message)",
        replace: "if (space === 'full') return this.prepareOverwrite(ctx, write, write.message)",
      },
    ],
  },
  {
    name: 'full-store-overwrites',
    wrong: 'A primary orders writes that free nothing, though a member of its ack set is full.',
    edits: [
      {
        file: `${REPLICATION}/writes.ts`,
        find: "if (space === 'full') return this.drop(ctx, write, 'NO_SPACE')",
        replace: "if (space === 'full') return this.prepareOverwrite(ctx, write, write.message)",
      },
    ],
  },
  {
    name: 'room-of-the-primary-alone',
    wrong: 'A primary looks at its own disk only.',
    edits: [
      {
        file: `${REPLICATION}/room.ts`,
        find: "STORE_SPACES.indexOf(primary.streams.get(store)?.space ?? 'free')",
        replace: '0',
      },
    ],
  },
  {
    name: 'full-replica-filled',
    wrong: 'A replica that need not acknowledge stores what it is copied, although its mark is passed.',
    edits: [
      {
        file: `${REPLICATION}/stream.ts`,
        find: "return isAtLeast(this.space, this.isEmpty ? 'tight' : 'full') && !this.isCounted",
        replace: 'return false',
      },
    ],
  },
  {
    name: 'room-never-short',
    wrong: 'A replica says that it has room, whatever its disk says.',
    edits: [
      {
        file: `${REPLICATION}/replica.ts`,
        find: '        freeBytes,\n        space,\n',
        replace: "        freeBytes,\n        space: space === 'free' ? space : 'free',\n",
      },
    ],
  },
  {
    name: 'room-not-told',
    wrong: 'A replica that has room again tells nobody: where all of them refuse writes, nobody ever learns it.',
    edits: [
      {
        file: `${REPLICATION}/replication.ts`,
        find: 'if (this.room.takeChange(ctx)) for',
        replace: 'if (this.room.takeChange(ctx) && ctx.now < 0) for',
      },
    ],
    schedule: 'every-disk-full',
  },
  {
    name: 'held-blocks-forgotten',
    wrong: 'Blocks that waited for room at a replica go on to wait when there is some.',
    edits: [
      {
        file: `${REPLICATION}/stream.ts`,
        find: 'if (!this.lacksRoom && this.list.releaseHeld()) this.progressAt = ctx.now',
        replace: 'if (!this.lacksRoom && this.marked && this.list.releaseHeld()) this.progressAt = ctx.now',
      },
    ],
    schedule: 'full-replica-returns',
  },
  {
    name: 'no-space-acknowledged',
    wrong: 'A write that found no room is answered as if it had been done.',
    edits: [
      {
        file: `${REPLICATION}/writes.ts`,
        find: "if (completion.runs.some(({ kind }) => kind !== BLOCK_DATA)) return this.drop(later, write, 'NO_SPACE')",
        replace: "if (completion.runs.some(({ kind }) => kind !== BLOCK_DATA)) return this.drop(later, write, 'OK')",
      },
    ],
  },
  {
    name: 'refused-write-done-later',
    wrong: 'A write that was refused for want of room is kept, and done when others leave the queue.',
    edits: [
      {
        file: `${REPLICATION}/writes.ts`,
        find: '    for (const reply of write.replies) this.primary.answer(ctx, reply, code)\n    this.runQueue(ctx)\n  }\n\n  private forget',
        replace:
          "    for (const reply of write.replies) this.primary.answer(ctx, reply, code)\n    if (code === 'NO_SPACE' && write.message.type === 'write') this.queue.push({ ...write, changes: [], replies: [], settled: false })\n    else this.runQueue(ctx)\n  }\n\n  private forget",
      },
    ],
  },
  {
    name: 'placed-on-filling-disks',
    wrong: 'Extents are placed without a look at the room on disks.',
    edits: [
      {
        file: 'packages/node/src/core/control/leases.ts',
        find: "(this.#leases.get(store)?.space ?? 'free') !== 'free'",
        replace: "(this.#leases.get(store)?.space ?? 'free') === 'none'",
      },
    ],
    schedule: 'placed-where-there-is-room',
  },
  {
    name: 'no-space-waited-for',
    wrong: 'A client holds a write that found no room, and tries it again until its time is over.',
    edits: [
      {
        file: 'packages/client/src/core/retry.ts',
        find: "NO_SPACE: { action: 'give-up' }",
        replace: "NO_SPACE: { action: 'wait' }",
      },
    ],
    schedule: 'every-disk-full',
  },
].map((mutant) => ({ rule: 'Amendment 17', voters: 3, fullDisks: true, ...mutant }))
