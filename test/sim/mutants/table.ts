import { BOUNDS_MUTANTS } from './bounds-table.ts'
import { CLIENT_MUTANTS } from './client-table.ts'
import { DIRECTORY_MUTANTS } from './directory-table.ts'
import { FAULT_MUTANTS } from './fault-table.ts'
import { LEVEL_MUTANTS } from './level-table.ts'
import { LIVENESS_MUTANTS } from './liveness-table.ts'
import { LOSS_MUTANTS } from './loss-table.ts'
import type { Mutant } from './mutant.ts'
import { RAFT_MUTANTS } from './raft-table.ts'
import { READ_MUTANTS } from './read-table.ts'
import { RETRY_MUTANTS } from './retry-table.ts'
import { SPACE_MUTANTS } from './space-table.ts'
import { TRANSPORT_MUTANTS } from './transport-table.ts'
import { WIDE_MUTANTS } from './wide-table.ts'

const REPLICATION = 'packages/node/src/core/replication'
const CONTROL = 'packages/node/src/core/control'
const AGENT = 'packages/node/src/core/agent'

const REPLICATION_MUTANTS: readonly Mutant[] = [
  // ---- protocol A4 --------------------------------------------------------------------------------------------------
  {
    name: 'no-reconcile',
    rule: 'A2.8',
    wrong: 'A stream opens without comparing: replicas keep what the primary does not have.',
    edits: [
      {
        file: `${REPLICATION}/stream.ts`,
        find: 'if (sameBytes(completion.root, message.digest)) return this.startCopying(later)',
        replace: 'return this.startCopying(later)',
      },
    ],
  },
  {
    name: 'elect-any',
    rule: 'A2.10',
    wrong: 'Any live store becomes primary, in sync or not.',
    edits: [
      {
        file: `${CONTROL}/epochs.ts`,
        find: 'const successor = choosePrimary(state, without(record.inSync, old), live)',
        replace: 'const successor = choosePrimary(state, without(record.assigned, old), live)',
      },
      {
        file: `${CONTROL}/epochs.ts`,
        find: 'namePrimary(state, record, successor, setsWithoutOld(record, reason, minInSync))',
        replace:
          'namePrimary(state, record, successor, record.inSync.includes(successor) ? setsWithoutOld(record, reason, minInSync) : { inSync: [successor], eligible: [] })',
      },
    ],
  },
  {
    name: 'identity-by-name',
    rule: 'A2.0',
    wrong: 'A new store at a known address takes the place of the old one in the in-sync set.',
    edits: [
      {
        file: `${CONTROL}/apply-nodes.ts`,
        find: 'if (record.primary.store !== node.store) takeOut(state, record, node.store)',
        replace:
          'const same = (set) => set.map((member) => member === node.store ? command.store : member)\n      if (record.primary.store !== node.store) putExtentRecord(state, { ...record, inSync: same(record.inSync), eligible: same(record.eligible), assigned: same(record.assigned) })',
      },
    ],
  },
  {
    name: 'shrink-early',
    rule: 'A2.7',
    wrong: 'A silent replica leaves the ack set when control is asked, not when control has committed it.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'const set = new Set(this.record()?.inSync ?? [])',
        replace: 'const set = new Set(this.keeper.asked?.inSync ?? this.record()?.inSync ?? [])',
      },
    ],
  },
  {
    name: 'read-uncommitted',
    rule: 'A2.6',
    wrong: 'Reads return bytes that are not committed.',
    edits: [
      { file: `${REPLICATION}/reads.ts`, find: 'if (uncommitted > 0) {', replace: 'if (uncommitted < 0) {' },
      {
        file: `${REPLICATION}/reads.ts`,
        find: 'if (through > primary.extent.commitSeq) {',
        replace: 'if (through < 0) {',
      },
    ],
  },
  {
    name: 'no-min-in-sync',
    rule: 'A2.10',
    wrong: 'Writes are acknowledged however few replicas are in sync.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'record.inSync.length >= volume.minInSync',
        replace: 'record.inSync.length >= 1',
      },
    ],
  },
  {
    name: 'ack-early',
    rule: 'A2.14',
    wrong: 'A replica acknowledges what is not on stable storage yet.',
    edits: [
      {
        file: `${REPLICATION}/replica.ts`,
        find: `    this.services.when(token, () => {
      update()
      stream.ackDue = true
      this.services.acknowledgeAtEnd(this)
    })`,
        replace: `    this.services.when(token, () => {})
    update()
    stream.ackDue = true
    this.services.acknowledgeAtEnd(this)`,
      },
    ],
  },
  {
    name: 'add-early',
    rule: 'A2.7',
    wrong: 'A joining replica is added before it has caught up.',
    edits: [
      {
        file: `${REPLICATION}/in-sync.ts`,
        find: `      stream?.marked === true &&
      this.failing(ctx, store) === undefined &&
      registered !== undefined &&`,
        replace: `      (stream?.phase === 'comparing' || stream?.phase === 'copying') &&
      registered !== undefined &&`,
      },
      {
        file: `${REPLICATION}/in-sync.ts`,
        find: '(streams.get(store)?.ackedSeq ?? 0) >= extent.commitSeq',
        replace: 'streams.has(store) && extent !== undefined',
      },
    ],
  },
  {
    name: 'no-fence',
    rule: 'A2.3',
    wrong: 'A replica accepts streams and frames of an epoch below its promise.',
    edits: [
      {
        file: `${REPLICATION}/replica.ts`,
        find: "if (open.epoch < this.extent.promised) return this.refuse(ctx, link, open, 'fenced')",
        replace: '',
      },
      {
        file: `${REPLICATION}/replica.ts`,
        find: 'if (message.epoch < this.extent.promised) {',
        replace: 'if (message.epoch < 0) {',
      },
    ],
  },
  {
    name: 'activate-early',
    rule: 'A2.8',
    wrong: 'A new primary serves before every in-sync replica has promised its epoch and has its state.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'this.append(ctx, { blocks: [], bytes: 0, operation: undefined, cancel: false, replies: [] })',
        replace:
          "this.append(ctx, { blocks: [], bytes: 0, operation: undefined, cancel: false, replies: [] })\n      this.phase = 'active'",
      },
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'if (!this.started && this.keeper.mayStart(record)) {',
        replace: 'if (!this.started) {',
      },
    ],
    schedule: 'served-too-early',
  },
  {
    name: 'no-lease',
    rule: 'A2.3',
    wrong: 'A primary serves without a lease.',
    edits: [{ file: `${AGENT}/agent.ts`, find: 'return this.#lease.held(ctx.now)', replace: 'return ctx.now > 0' }],
  },
  {
    name: 'add-late',
    rule: 'A2.7',
    wrong: 'A replica enters the ack set when control has added it, not when control is asked.',
    edits: [
      {
        file: `${REPLICATION}/in-sync.ts`,
        find: 'if (this.pendingAdd !== undefined) ackSet.add(this.pendingAdd)',
        replace: '',
      },
    ],
  },
  {
    name: 'add-by-address',
    rule: 'A2.7',
    wrong: 'Control adds whatever store now stands at the address of the one that was asked for.',
    edits: [
      {
        file: `${CONTROL}/apply-sets.ts`,
        find: '  const answer = (code',
        replace:
          '  if (change.inSync.some((store) => state.successors.has(store))) change = { ...change, revision: record.revision, inSync: change.inSync.map((store) => state.successors.get(store) ?? store) }\n  const answer = (code',
      },
    ],
    schedule: 'add-of-a-replaced-disk',
  },
  {
    name: 'same-epoch-resumed',
    rule: 'A2.0',
    wrong: 'A primary that restarts goes on in the epoch that it led before.',
    edits: [
      {
        file: `${REPLICATION}/replication.ts`,
        find: 'const named = record.primary.store === self && record.primary.counter === counter',
        replace: 'const named = record.primary.store === self',
      },
      {
        file: `${REPLICATION}/replication.ts`,
        find: 'if (named && record.epoch > state.led && record.epoch >= state.promised) {',
        replace: 'if (named && record.epoch >= state.led && record.epoch >= state.promised) {',
      },
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'this.epoch > this.extent.led && this.epoch >= this.extent.promised',
        replace: 'this.epoch >= this.extent.led && this.epoch >= this.extent.promised',
      },
      {
        file: `${CONTROL}/epochs.ts`,
        find: 'epoch: (record.epoch + 1) as Epoch,',
        replace: 'epoch: (record.primary.store === store ? record.epoch : record.epoch + 1) as Epoch,',
      },
    ],
    schedule: 'restarted-primary',
  },
  // ---- amendments -------------------------------------------------------------------------------------------------
  {
    name: 'pending-add-counts',
    rule: 'Amendment 1',
    wrong: 'A replica that is asked to be added counts toward minInSync.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'record.inSync.length >= volume.minInSync',
        replace: 'this.ackSet().size >= volume.minInSync',
      },
    ],
  },
  {
    name: 'start-below-min-in-sync',
    rule: 'Amendment 2',
    wrong: 'START commits below minInSync, so that a primary serves reads that it may have to take back.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'if (this.givenUp || this.over || this.recordToken !== undefined || !this.enoughInSync()) return',
        replace:
          "if (this.givenUp || this.over || this.recordToken !== undefined || (!this.enoughInSync() && this.phase !== 'recovering')) return",
      },
    ],
  },
  {
    name: 'no-eligible',
    rule: 'CTL-5',
    wrong: 'Stores that leave below minInSync are forgotten, though they hold every acknowledged write.',
    edits: [
      {
        file: `${CONTROL}/membership.ts`,
        find: 'return { inSync, eligible: [...kept] }',
        replace: 'return { inSync, eligible: [] }',
      },
    ],
    schedule: 'only-in-sync-store-wiped',
  },
  {
    name: 'lease-counted-too-long',
    rule: 'A2.3',
    wrong: 'A node holds its lease for longer than control counts it.',
    edits: [
      {
        file: `${AGENT}/held-lease.ts`,
        find: 'this.#granted.push({ revision, until: sent.at + TIMERS.leaseMs })',
        replace: 'this.#granted.push({ revision, until: sent.at + 2 * TIMERS.leaseMs })',
      },
    ],
    schedule: 'reads-beside-a-majority',
  },
  {
    name: 'control-tells-before-durable',
    rule: 'A2.14',
    wrong: 'Control acts on an entry that is not on stable storage yet.',
    edits: [
      {
        file: `${CONTROL}/solo-log.ts`,
        find: '  endStep(ctx: Context): void {',
        replace: '  endStep(ctx: Context): void {\n    this.onAppended(ctx, this.#lastIndex)',
      },
    ],
  },
  {
    name: 'lease-over-early',
    rule: 'Amendment 3',
    wrong: 'Control replaces a primary whose lease may still hold by its own count.',
    edits: [
      {
        file: `${CONTROL}/leases.ts`,
        find: 'return now - lease.receivedAt >= leaseExpiryMs()',
        replace: 'return now - lease.receivedAt >= leaseExpiryMs() / 3',
      },
    ],
    schedule: 'reads-beside-a-majority',
  },
  {
    name: 'new-leader-grants-nothing',
    rule: 'CTL-7',
    wrong: 'Control that comes back does not count the leases that it gave before.',
    edits: [
      {
        file: `${CONTROL}/leases.ts`,
        find: "if (node.state === 'lost') continue",
        replace: "if (node.state !== 'none') continue",
      },
    ],
    schedule: 'primary-dies-with-the-voter',
  },
  {
    name: 'lease-not-checked-at-answer',
    rule: 'Amendment 4',
    wrong: 'A write that commits after the lease ran out is answered with success.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: "!this.services.control.leaseHeld(ctx) ? 'INDETERMINATE' : write.cancel ? 'CANCELLED' : 'OK'",
        replace: "write.cancel ? 'CANCELLED' : 'OK'",
      },
    ],
    schedule: 'acknowledged-after-the-lease',
  },
  {
    name: 'lease-not-checked-after-read',
    rule: 'A2.3',
    wrong: 'A read is answered without a look at the lease after its bytes were fetched.',
    edits: [
      {
        file: `${REPLICATION}/reads.ts`,
        find: "const refusal = primary.over ? 'NOT_PRIMARY' : primary.refusal(ctx, message.epoch, message.generation)",
        replace: "const refusal = primary.over ? 'NOT_PRIMARY' : undefined",
      },
    ],
    schedule: 'read-when-the-lease-runs-out',
  },
  {
    name: 'attach-does-not-wait',
    rule: 'Amendment 4',
    wrong: 'An attachment is complete before the primaries know of it.',
    edits: [
      { file: `${CONTROL}/attach-waits.ts`, find: 'if (waitsFor.size === 0) return false', replace: 'return false' },
    ],
    schedule: 'attachment-not-known-yet',
  },
  {
    name: 'generation-not-checked-at-seq',
    rule: 'Amendment 4',
    wrong: 'A write that waited for old content gets its seq without another look at its generation.',
    edits: [
      {
        file: `${REPLICATION}/writes.ts`,
        find: 'const refusal = this.refusal(ctx, write)\n    if (refusal !== undefined) return this.drop',
        replace: 'const refusal = undefined\n    if (refusal !== undefined) return this.drop',
      },
    ],
    schedule: 'write-of-a-fenced-client',
  },
  {
    name: 'table-before-promise',
    rule: 'Amendment 5',
    wrong: 'A replica answers OPEN with its table before its promise is durable.',
    edits: [
      {
        file: `${REPLICATION}/replica.ts`,
        find: 'this.services.when(token, (later) => this.verify(later, stream))',
        replace: 'this.services.when(token, () => {})\n    this.verify(ctx, stream)',
      },
    ],
  },
  {
    name: 'open-before-led',
    rule: 'A2.14',
    wrong: 'A primary opens streams before it is durable that it leads the epoch.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: "    this.services.when(token, (later) => {\n      if (this.phase !== 'promising') return",
        replace:
          "    this.services.when(token, () => {})\n    const now = (then) => then(ctx)\n    now((later) => {\n      if (this.phase !== 'promising') return",
      },
    ],
  },
  {
    name: 'differences-of-the-replica-only',
    rule: 'Amendment 5',
    wrong: 'Blocks that only the primary has are not copied.',
    edits: [{ file: `${REPLICATION}/comparison.ts`, find: 'blocks.push(...left.keys())', replace: '' }],
  },
  {
    name: 'differences-of-the-primary-only',
    rule: 'Amendment 5',
    wrong: 'Blocks that only the replica has stay there.',
    edits: [
      {
        file: `${REPLICATION}/comparison.ts`,
        find: 'if (!sameVersion(left.get(version.block) ?? ABSENT_VERSION, version)) blocks.push(version.block)',
        replace:
          'if (left.has(version.block) && !sameVersion(left.get(version.block), version)) blocks.push(version.block)',
      },
    ],
    schedule: 'first-writes-rolled-back',
  },
  {
    name: 'writes-while-comparing-forgotten',
    rule: 'Amendment 5',
    wrong: 'Blocks that are written while the list is made are not on it.',
    edits: [
      {
        file: `${REPLICATION}/stream.ts`,
        find: "if (this.phase === 'opening' || this.phase === 'comparing') this.list.add(change.block)\n      else if",
        replace: 'if',
      },
    ],
    schedule: 'writes-while-comparing',
  },
  {
    name: 'changed-block-not-read-again',
    rule: 'Amendment 5',
    wrong: 'A block that was written while it was read for a PUSH goes out as it was.',
    edits: [
      {
        file: `${REPLICATION}/copy-list.ts`,
        find: 'const writtenMeanwhile = this.reading.get(block) === true',
        replace: 'const writtenMeanwhile = false',
      },
    ],
  },
  {
    name: 'mark-before-the-list-is-empty',
    rule: 'Amendment 5',
    wrong: 'MARK goes out while blocks are still being read for a PUSH.',
    edits: [
      {
        file: `${REPLICATION}/stream.ts`,
        find: 'if (this.behindBlocks === 0) this.sendMark(ctx)',
        replace: 'if (this.list.readable === 0) this.sendMark(ctx)',
      },
    ],
  },
  {
    name: 'epoch-of-a-restart-not-raised',
    rule: 'Amendment 7',
    wrong: 'A store that is named again after a restart keeps its epoch.',
    edits: [
      {
        file: `${CONTROL}/epochs.ts`,
        find: 'epoch: (record.epoch + 1) as Epoch,',
        replace: 'epoch: (record.primary.store === store ? record.epoch : record.epoch + 1) as Epoch,',
      },
    ],
  },
  {
    name: 'record-not-durable-at-ack',
    rule: 'Amendment 16',
    wrong: 'A primary acknowledges under a record that is not on its own stable storage.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'if (this.givenUp || this.over || this.recordToken !== undefined || !this.enoughInSync()) return',
        replace: 'if (this.givenUp || this.over || !this.enoughInSync()) return',
      },
    ],
  },
]

export const MUTANTS: readonly Mutant[] = [
  ...REPLICATION_MUTANTS,
  ...RETRY_MUTANTS,
  ...LOSS_MUTANTS,
  ...READ_MUTANTS,
  ...CLIENT_MUTANTS,
  ...RAFT_MUTANTS,
  ...FAULT_MUTANTS,
  ...SPACE_MUTANTS,
  ...LEVEL_MUTANTS,
  ...LIVENESS_MUTANTS,
  ...WIDE_MUTANTS,
  ...DIRECTORY_MUTANTS,
  ...TRANSPORT_MUTANTS,
  ...BOUNDS_MUTANTS,
]
