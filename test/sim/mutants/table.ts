import { BOUNDS_MUTANTS } from './bounds-table.ts'
import { CLIENT_MUTANTS } from './client-table.ts'
import { DIRECTORY_MUTANTS } from './directory-table.ts'
import { FAULT_MUTANTS } from './fault-table.ts'
import { ENDING_MUTANTS, LEVEL_MUTANTS, RECOVERY_MUTANTS } from './level-table.ts'
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
        room: REPLICATION,
        in: 'OutStream.onOpened',
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
      { room: CONTROL, in: 'replacePrimary', find: 'record.inSync', replace: 'record.assigned' },
      {
        room: CONTROL,
        in: 'replacePrimary',
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
        room: CONTROL,
        in: 'supersede(state, command)',
        find: `if (record.primary.store !== node.store) takeOut(state, record, node.store)
else if (!mayServe) replacePrimary(state, id, 'suspect', live)`,
        replace: `const same = (set) => set.map((member) => member === node.store ? command.store : member)
if (record.primary.store !== node.store) putExtentRecord(state, { ...record, inSync: same(record.inSync), eligible: same(record.eligible), assigned: same(record.assigned) })
else if (!mayServe) replacePrimary(state, id, 'suspect', live)`,
      },
    ],
  },
  {
    name: 'shrink-early',
    rule: 'A2.7',
    wrong: 'A silent replica leaves the ack set when control is asked, not when control has committed it.',
    edits: [
      {
        room: REPLICATION,
        in: 'InSyncKeeper.ackSet',
        find: 'this.state.record()?.inSync',
        replace: 'this.requested?.inSync ?? this.state.record()?.inSync',
      },
    ],
  },
  {
    name: 'read-uncommitted',
    rule: 'A2.6',
    wrong: 'Reads return bytes that are not committed.',
    edits: [
      { room: REPLICATION, in: 'Reads.fetch', find: 'uncommitted > 0', replace: 'uncommitted < 0' },
      { room: REPLICATION, in: 'Reads.onLoaded', find: 'through > state.extent.commitSeq', replace: 'through < 0' },
    ],
  },
  {
    name: 'no-min-in-sync',
    rule: 'A2.10',
    wrong: 'Writes are acknowledged however few replicas are in sync.',
    edits: [{ room: REPLICATION, in: 'InSyncKeeper.enoughInSync', find: 'volume.minInSync', replace: '1' }],
  },
  {
    name: 'ack-early',
    rule: 'A2.14',
    wrong: 'A replica acknowledges what is not on stable storage yet.',
    edits: [
      {
        room: REPLICATION,
        in: 'ReplicaRole.acknowledgeWhenDurable(stream, token, update)',
        body: `this.services.when(token, () => {})
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
        room: REPLICATION,
        in: 'InSyncKeeper.mayBeAdded',
        find: 'stream?.marked === true && this.health.failing(ctx, store) === undefined',
        replace: "stream?.phase === 'comparing' || stream?.phase === 'copying'",
      },
      {
        room: REPLICATION,
        in: 'InSyncKeeper.hasCaughtUp',
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
        room: REPLICATION,
        in: 'ReplicaRole.onOpen',
        find: "if (open.epoch < this.extent.promised) return this.refuse(ctx, link, open, 'fenced')",
        replace: '',
      },
      {
        room: REPLICATION,
        in: 'ReplicaRole.admit',
        find: 'message.epoch < this.extent.promised',
        replace: 'message.epoch < 0',
      },
    ],
  },
  {
    name: 'activate-early',
    rule: 'A2.8',
    wrong: 'A new primary serves before every in-sync replica has promised its epoch and has its state.',
    edits: [
      {
        room: REPLICATION,
        in: 'Primary.maintain',
        find: 'this.commits.append(ctx, { blocks: [], bytes: 0, operation: undefined, cancel: false, replies: [] })',
        replace: `this.commits.append(ctx, { blocks: [], bytes: 0, operation: undefined, cancel: false, replies: [] })
this.state.phase = 'active'`,
      },
      {
        room: REPLICATION,
        in: 'Primary.maintain',
        find: '!state.started && this.keeper.mayStart(record)',
        replace: '!state.started',
      },
    ],
    schedule: 'served-too-early',
  },
  {
    name: 'no-lease',
    rule: 'A2.3',
    wrong: 'A primary serves without a lease.',
    edits: [{ room: AGENT, in: 'ControlAgent.leaseHeld(ctx)', body: 'return ctx.now > 0' }],
  },
  {
    name: 'add-late',
    rule: 'A2.7',
    wrong: 'A replica enters the ack set when control has added it, not when control is asked.',
    edits: [
      {
        room: REPLICATION,
        in: 'InSyncKeeper.ackSet',
        find: 'if (this.pendingAdd !== undefined) set.add(this.pendingAdd)',
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
        room: CONTROL,
        in: 'changeSet(state, command, change)',
        find: 'const record = state.extents.get(change.extent)',
        replace: `const record = state.extents.get(change.extent)
if (record !== undefined && change.inSync.some((store) => state.successors.has(store))) {
  const inSync = change.inSync.map((store) => state.successors.get(store) ?? store)
  change = { ...change, revision: record.revision, inSync }
}`,
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
        room: REPLICATION,
        in: 'Replication.follow',
        find: 'record.primary.store === self && record.primary.counter === counter',
        replace: 'record.primary.store === self',
      },
      {
        room: REPLICATION,
        in: 'Replication.follow',
        find: 'record.epoch > state.led',
        replace: 'record.epoch >= state.led',
      },
      {
        room: REPLICATION,
        in: 'Primary.begin',
        find: 'this.epoch > this.extent.led',
        replace: 'this.epoch >= this.extent.led',
      },
      {
        room: CONTROL,
        in: 'namePrimary(state, record, store)',
        find: 'record.epoch + 1',
        replace: 'record.primary.store === store ? record.epoch : record.epoch + 1',
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
        room: REPLICATION,
        in: 'InSyncKeeper.enoughInSync',
        find: 'record.inSync.length',
        replace: 'this.ackSet().size',
      },
    ],
  },
  {
    name: 'start-below-min-in-sync',
    rule: 'Amendment 2',
    wrong: 'START commits below minInSync, so that a primary serves reads that it may have to take back.',
    edits: [
      {
        room: REPLICATION,
        in: 'Commits.advance',
        find: '!keeper.enoughInSync()',
        replace: "!keeper.enoughInSync() && this.parts.state.phase !== 'recovering'",
      },
    ],
  },
  {
    name: 'no-eligible',
    rule: 'CTL-5',
    wrong: 'Stores that leave below minInSync are forgotten, though they hold every acknowledged write.',
    edits: [{ room: CONTROL, in: 'replaceInSync', find: '[...kept]', replace: '[]' }],
    schedule: 'only-in-sync-store-wiped',
  },
  {
    name: 'lease-counted-too-long',
    rule: 'A2.3',
    wrong: 'A node holds its lease for longer than control counts it.',
    edits: [{ room: AGENT, in: 'HeldLease.answered', find: 'TIMERS.leaseMs', replace: '2 * TIMERS.leaseMs' }],
    schedule: 'reads-beside-a-majority',
  },
  {
    name: 'lease-over-early',
    rule: 'Amendment 3',
    wrong: 'Control replaces a primary whose lease may still hold by its own count.',
    edits: [{ room: CONTROL, in: 'isOver', find: 'leaseExpiryMs()', replace: 'leaseExpiryMs() / 3' }],
    schedule: 'reads-beside-a-majority',
  },
  {
    name: 'new-leader-grants-nothing',
    rule: 'CTL-7',
    wrong: 'Control that comes back does not count the leases that it gave before.',
    edits: [{ room: CONTROL, in: 'Leases.grantAll', find: "node.state === 'down'", replace: "node.state !== 'none'" }],
    schedule: 'primary-dies-with-the-voter',
  },
  {
    name: 'lease-not-checked-at-answer',
    rule: 'Amendment 4',
    wrong: 'A write that commits after the lease ran out is answered with success.',
    edits: [
      {
        room: REPLICATION,
        in: 'Commits.settle',
        find: "!services.control.leaseHeld(ctx) ? 'INDETERMINATE' : write.cancel ? 'CANCELLED' : 'OK'",
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
        room: REPLICATION,
        in: 'Reads.onLoaded',
        find: 'admission.refusal(ctx, message.epoch, message.generation)',
        replace: 'undefined',
      },
    ],
    schedule: 'read-when-the-lease-runs-out',
  },
  {
    name: 'attach-does-not-wait',
    rule: 'Amendment 4',
    wrong: 'An attachment is complete before the primaries know of it.',
    edits: [
      {
        room: CONTROL,
        in: 'AttachWaits.begin',
        find: 'if (waitsFor.size === 0) return false',
        replace: 'return false',
      },
    ],
    schedule: 'attachment-not-known-yet',
  },
  {
    name: 'generation-not-checked-at-seq',
    rule: 'Amendment 4',
    wrong: 'A write that waited for old content gets its seq without another look at its generation.',
    edits: [{ room: REPLICATION, in: 'Writes.sequence', find: 'this.refusal(ctx, write)', replace: 'undefined' }],
    schedule: 'write-of-a-fenced-client',
  },
  {
    name: 'table-before-promise',
    rule: 'Amendment 5',
    wrong: 'A replica answers OPEN with its table before its promise is durable.',
    edits: [
      {
        room: REPLICATION,
        in: 'ReplicaRole.onOpen(ctx)',
        find: 'this.services.when(token, (later) => this.verify(later, stream))',
        replace: `this.services.when(token, () => {})
this.verify(ctx, stream)`,
      },
    ],
  },
  {
    name: 'open-before-led',
    rule: 'A2.14',
    wrong: 'A primary opens streams before it is durable that it leads the epoch.',
    edits: [
      {
        room: REPLICATION,
        in: 'Primary.begin(ctx)',
        find: 'this.services.when',
        replace: `((token, then) => {
  this.services.when(token, () => {})
  then(ctx)
})`,
      },
    ],
  },
  {
    name: 'differences-of-the-replica-only',
    rule: 'Amendment 5',
    wrong: 'Blocks that only the primary has are not copied.',
    edits: [{ room: REPLICATION, in: 'differingBlocks', find: 'blocks.push(...left.keys())', replace: '' }],
  },
  {
    name: 'differences-of-the-primary-only',
    rule: 'Amendment 5',
    wrong: 'Blocks that only the replica has stay there.',
    edits: [
      {
        room: REPLICATION,
        in: 'differingBlocks',
        find: '!sameVersion(left.get(version.block) ?? ABSENT_VERSION, version)',
        replace: 'left.has(version.block) && !sameVersion(left.get(version.block), version)',
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
        room: REPLICATION,
        in: 'OutStream.offer',
        find: "this.phase === 'opening' || this.phase === 'comparing'",
        replace: 'false',
      },
    ],
    schedule: 'writes-while-comparing',
  },
  {
    name: 'changed-block-not-read-again',
    rule: 'Amendment 5',
    wrong: 'A block that was written while it was read for a PUSH goes out as it was.',
    edits: [{ room: REPLICATION, in: 'ResyncSet.onRead', find: 'this.reading.get(block) === true', replace: 'false' }],
  },
  {
    name: 'mark-before-the-list-is-empty',
    rule: 'Amendment 5',
    wrong: 'MARK goes out while blocks are still being read for a PUSH.',
    edits: [
      { room: REPLICATION, in: 'OutStream.copyMore', find: 'this.behindBlocks', replace: 'this.resync.readable' },
    ],
  },
  {
    name: 'epoch-of-a-restart-not-raised',
    rule: 'Amendment 7',
    wrong: 'A store that is named again after a restart keeps its epoch.',
    edits: [
      {
        room: CONTROL,
        in: 'namePrimary(state, record, store)',
        find: 'record.epoch + 1',
        replace: 'record.primary.store === store ? record.epoch : record.epoch + 1',
      },
    ],
  },
  {
    name: 'record-not-durable-at-ack',
    rule: 'Amendment 16',
    wrong: 'A primary acknowledges under a record that is not on its own stable storage.',
    edits: [
      {
        room: REPLICATION,
        in: 'Commits.advance',
        find: 'state.releaseRequested || state.over || this.recordToken !== undefined',
        replace: 'state.releaseRequested || state.over',
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
  ...ENDING_MUTANTS,
  ...RECOVERY_MUTANTS,
  ...LIVENESS_MUTANTS,
  ...WIDE_MUTANTS,
  ...DIRECTORY_MUTANTS,
  ...TRANSPORT_MUTANTS,
  ...BOUNDS_MUTANTS,
]
