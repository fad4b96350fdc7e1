import type { Mutant } from './mutant.ts'

const RAFT = 'packages/node/src/core/raft'
const REPLICATION = 'packages/node/src/core/replication'
const CONTROL = 'packages/node/src/core/control'

/** Bugs of what happens to the control log over time: snapshots of it, and changes of its members. */
const LOG_MUTANTS: readonly Mutant[] = [
  {
    name: 'raft-snapshot-accepted-before-durable',
    rule: 'A2.14, raft pitfall 29',
    wrong: 'A follower says that it has a snapshot which is not on its stable storage.',
    edits: [{ room: RAFT, in: 'SnapshotReceiver.accept', find: 'this.core.send', replace: 'this.core.sendNow' }],
  },
  {
    name: 'raft-snapshot-of-old-members',
    rule: 'raft pitfall 22',
    wrong: 'A snapshot names the members that its log began with.',
    edits: [
      {
        room: RAFT,
        in: 'Snapshots.compact',
        find: 'log.membersAt(index)',
        replace: 'log.membersAt(log.baseIndex + 1)',
      },
    ],
  },
  {
    name: 'snapshot-forgets-successors',
    rule: 'raft pitfall 5',
    wrong: 'A snapshot of the map leaves out the successors of stores.',
    edits: [
      {
        room: CONTROL,
        in: 'MapState.rows',
        find: "rowsOf('successor', this.successors)",
        replace: "rowsOf('successor', [])",
      },
    ],
  },
  {
    name: 'raft-two-changes-at-once',
    rule: 'raft pitfall 20',
    wrong: 'Members are changed while an earlier change is in flight.',
    edits: [
      {
        room: RAFT,
        in: 'RaftMachine.changeMembers',
        find: 'this.log.membersIndex > this.log.commit',
        replace: 'this.log.membersIndex < 0',
      },
    ],
  },
  {
    name: 'raft-truncated-members-stay',
    rule: 'raft pitfall 21',
    wrong: 'A change of members whose entry was dropped from the log goes on to count.',
    edits: [
      {
        room: RAFT,
        in: 'RaftLog.truncate',
        find: 'this.memberChanges = this.memberChanges.filter((change) => change.index < from)',
        replace: '',
      },
    ],
    schedule: 'change-of-members-cut-off',
  },
  {
    name: 'raft-learner-campaigns',
    rule: 'raft pitfalls 23 and 24',
    wrong: 'Every store with a log campaigns, learners and removed stores too.',
    edits: [
      {
        room: `${RAFT}/roles`,
        in: 'Follower.mayCampaign',
        find: 'isVoter(log.members, self)',
        replace: 'isVoter(log.members, self) || log.lastIndex > 0',
      },
    ],
  },
  {
    name: 'greetings-name-no-voters',
    rule: 'Amendment 9',
    wrong: 'A node that belongs to its cluster learns nothing from the voters that others greet with.',
    edits: [
      {
        room: 'packages/node/src/core/agent',
        in: 'ControlAgent.onGreeted',
        find: 'cluster === this.cluster',
        replace: 'cluster !== this.cluster',
      },
    ],
    schedule: 'away-while-control-moved',
  },
  {
    name: 'raft-lost-log-votes',
    rule: 'raft pitfalls 25 and 35',
    wrong: 'A voter whose log was lost votes at once.',
    edits: [{ room: RAFT, in: 'RaftMachine.answerVote', find: 'this.outbox.recovering', replace: 'false' }],
    schedule: 'lost-control-log',
  },
  {
    name: 'lost-voter-not-replaced',
    rule: 'Amendment 15',
    wrong: 'The store that took over the place of a voter does not become one.',
    edits: [
      {
        room: CONTROL,
        in: 'repairVoters(ctx, log, state)',
        find: '!log.leads',
        replace: 'state.successors.size >= 0 || !log.leads',
      },
    ],
    schedule: 'lost-voter',
  },
].map((mutant) => ({ voters: 3, ...mutant }))

/** Bugs of what is done about disks that lose what they acknowledged, or fail. */
const DISK_MUTANTS: readonly Mutant[] = [
  {
    name: 'suspect-ends-for-versions',
    rule: 'A2.17-5',
    wrong: 'A store that was opened as suspect ends again for versions that do not match their digest.',
    edits: [
      {
        room: 'packages/node/src/core',
        in: 'NodeMachine.onVersionsLost',
        find: '!this.replication.onVersionsLost(ctx, extent)',
        replace: 'this.replication.onVersionsLost(ctx, extent)',
      },
    ],
    schedule: 'versions-under-digests',
  },
  {
    name: 'suspect-store-stays',
    rule: 'Amendment 11',
    wrong: 'A store that registers as suspect stays in every set that it is in.',
    edits: [
      {
        room: CONTROL,
        in: 'applyRegister',
        find: "command.trust === 'suspect' && !sameIncarnation",
        replace: "command.trust === 'suspect' && sameIncarnation",
      },
    ],
    schedule: 'dropped-records',
  },
  {
    name: 'suspect-store-promoted',
    rule: 'Amendment 11',
    wrong: 'A suspect store may be named primary like any other.',
    edits: [{ room: CONTROL, in: 'mayLead(state, store, live)', body: 'return isPresent(state, store, live)' }],
    schedule: 'dropped-records',
  },
  {
    name: 'suspect-store-unread',
    rule: 'Amendment 11',
    wrong: 'A suspect store is compared by its versions, and counts without having read its bytes.',
    edits: [
      {
        room: REPLICATION,
        in: 'Verification.before',
        find: '!this.suspect || this.checked.has(extent.id)',
        replace: 'this.suspect || !this.checked.has(extent.id)',
      },
    ],
    schedule: 'suspect-store-with-rot',
  },
  {
    name: 'suspect-store-lingers',
    rule: 'A2.6',
    wrong: 'A store that cannot trust itself any more goes on as if nothing were.',
    edits: [
      {
        room: 'packages/node/src/core',
        in: 'NodeMachine.leave',
        find: '!this.replication.mayLeave',
        replace: 'this.handOver === undefined',
      },
    ],
  },
  {
    name: 'failed-store-goes-on',
    rule: 'Finding 2',
    wrong: 'A process whose store met an error goes on.',
    edits: [
      {
        room: 'packages/node/src/core',
        in: 'NodeMachine.onInput(ctx, input)',
        find: "ctx.emit({ type: 'fatal', kind: $kind, reason: $reason })",
        replace: 'undefined',
      },
    ],
  },
]

/** Bugs of what is done when only suspect stores are left. */
const RECONCILE_MUTANTS: readonly Mutant[] = [
  {
    name: 'reconcile-while-one-is-away',
    wrong: 'Of suspect stores one is named to reconcile as soon as any of them is there.',
    edits: [
      {
        room: CONTROL,
        in: 'canBeReconciled',
        find: 'suspectsLeft(state, record)?.every((store) => isPresent(state, store, live))',
        replace: 'suspectsLeft(state, record)?.some((store) => isPresent(state, store, live))',
      },
    ],
  },
  {
    name: 'reconcile-left-out',
    wrong: 'The suspect store that is to reconcile serves what it has itself.',
    edits: [
      {
        room: REPLICATION,
        in: 'Primary.begin',
        find: 'suspects === undefined',
        replace: 'suspects === undefined || suspects.length > 0',
      },
    ],
  },
  {
    name: 'reconcile-of-members-only',
    wrong: 'What suspect stores hold that were removed from the sets is not reconciled.',
    edits: [
      {
        room: REPLICATION,
        in: 'suspectsToReconcile',
        find: "members.includes(store) || nodes.get(store)?.trust === 'suspect'",
        replace: 'members.includes(store)',
      },
    ],
  },
  {
    name: 'reconcile-of-the-lowest-versions',
    wrong: 'Of the versions that suspect stores hold of a block the lowest wins.',
    edits: [
      {
        room: REPLICATION,
        in: 'byVersion',
        find: 'isHigher(a.version, b.version)',
        replace: 'isHigher(b.version, a.version)',
      },
    ],
  },
].map((mutant) => ({ rule: 'Amendment 11', schedule: 'only-suspect-stores-left', ...mutant }))

export const FAULT_MUTANTS: readonly Mutant[] = [...LOG_MUTANTS, ...DISK_MUTANTS, ...RECONCILE_MUTANTS]
