import type { Mutant } from './mutant.ts'

const RAFT = 'packages/node/src/core/raft'
const CONTROL = 'packages/node/src/core/control'

/** Bugs of what happens to the control log over time: snapshots of it, and changes of its members. */
const LOG_MUTANTS: readonly Mutant[] = [
  {
    name: 'raft-snapshot-accepted-before-durable',
    rule: 'A2.14, raft pitfall 29',
    wrong: 'A follower says that it has a snapshot which is not on its stable storage.',
    edits: [
      {
        file: `${RAFT}/snapshot-receiver.ts`,
        find: "this.#core.send({ type: 'appended'",
        replace: "this.#core.sendNow({ type: 'appended'",
      },
    ],
  },
  {
    name: 'raft-snapshot-of-old-members',
    rule: 'raft pitfall 22',
    wrong: 'A snapshot names the members that its log began with.',
    edits: [
      {
        file: `${RAFT}/snapshots.ts`,
        find: 'members: log.membersAt(index)',
        replace: 'members: log.membersAt(log.baseIndex + 1)',
      },
    ],
  },
  {
    name: 'snapshot-forgets-successors',
    rule: 'raft pitfall 5',
    wrong: 'A snapshot of the map leaves out who took over from whom.',
    edits: [
      {
        file: `${CONTROL}/map-state.ts`,
        find: "      rowsOf('successor', this.successors),\n",
        replace: '',
      },
    ],
  },
  {
    name: 'raft-two-changes-at-once',
    rule: 'raft pitfall 20',
    wrong: 'Members are changed while an earlier change is on its way.',
    edits: [
      {
        file: `${RAFT}/machine.ts`,
        find: 'if (this.#log.membersIndex > this.#log.commit) return',
        replace: 'if (this.#log.membersIndex < 0) return',
      },
    ],
  },
  {
    name: 'raft-truncated-members-stay',
    rule: 'raft pitfall 21',
    wrong: 'A change of members whose entry was dropped from the log goes on to count.',
    edits: [
      {
        file: `${RAFT}/log.ts`,
        find: '    this.#members = this.#members.filter((change) => change.index < from)\n',
        replace: '',
      },
    ],
    schedule: 'change-of-members-cut-off',
  },
  {
    name: 'raft-learner-campaigns',
    rule: 'raft pitfalls 23 and 24',
    wrong: 'Whoever has a log asks to be elected, learners and removed stores too.',
    edits: [
      {
        file: `${RAFT}/roles/follower.ts`,
        find: '    if (isVoter(log.members, self)) return true\n',
        replace: '    if (isVoter(log.members, self) || log.lastIndex > 0) return true\n',
      },
    ],
  },
  {
    name: 'greetings-tell-of-no-voters',
    rule: 'Amendment 9',
    wrong: 'A node that belongs to its cluster learns nothing from the voters that others greet with.',
    edits: [
      {
        file: 'packages/node/src/core/agent/agent.ts',
        find: 'if (cluster !== undefined && cluster === this.#cluster) this.#voter',
        replace: 'if (cluster !== undefined && cluster !== this.#cluster) this.#voter',
      },
    ],
    schedule: 'away-while-control-moved',
  },
  {
    name: 'raft-lost-log-votes',
    rule: 'raft pitfalls 25 and 35',
    wrong: 'A voter whose log was lost votes at once.',
    edits: [
      {
        file: `${RAFT}/machine.ts`,
        find: "if (this.#outbox.recovering) return this.#core.send({ type: 'vote'",
        replace: "if (this.#outbox.recovering && term < 0) return this.#core.send({ type: 'vote'",
      },
    ],
    schedule: 'lost-control-log',
  },
  {
    name: 'lost-voter-not-replaced',
    rule: 'Amendment 15',
    wrong: 'The store that took over the place of a voter does not become one.',
    edits: [
      {
        file: `${CONTROL}/voter-repair.ts`,
        find: 'if (!log.leads) return',
        replace: 'if (state.successors.size >= 0 || !log.leads) return',
      },
    ],
    schedule: 'lost-voter',
  },
].map((mutant) => ({ voters: 3, ...mutant }))

/** Bugs of what is done about disks that lose what they acknowledged, or fail. */
const DISK_MUTANTS: readonly Mutant[] = [
  {
    name: 'suspect-store-stays',
    rule: 'Amendment 11',
    wrong: 'A store that registers as suspect stays in every set that it is in.',
    edits: [
      {
        file: `${CONTROL}/apply-nodes.ts`,
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
    edits: [
      {
        file: `${CONTROL}/epochs.ts`,
        find: 'return isTrusted(state, store) && isPresent(state, store, live)',
        replace: 'return isPresent(state, store, live)',
      },
    ],
    schedule: 'dropped-records',
  },
  {
    name: 'suspect-store-unread',
    rule: 'Amendment 11',
    wrong: 'A suspect store is compared by its versions, and counts without having read its bytes.',
    edits: [
      {
        file: 'packages/node/src/core/replication/verification.ts',
        find: 'if (!this.suspect || this.checked.has(extent.id)) return then(ctx)',
        replace: 'if (this.suspect || !this.checked.has(extent.id)) return then(ctx)',
      },
    ],
    schedule: 'suspect-store-with-rot',
  },
  {
    name: 'doubtful-store-lingers',
    rule: 'A2.6',
    wrong: 'A store that cannot trust itself any more goes on as if nothing were.',
    edits: [
      {
        file: 'packages/node/src/core/node-machine.ts',
        find: '    if (!this.replication.mayLeave) return\n',
        replace: '    if (this.handOver === undefined) return\n',
      },
    ],
  },
  {
    name: 'failed-store-goes-on',
    rule: 'Finding 2',
    wrong: 'A process whose store met an error goes on.',
    edits: [
      {
        file: 'packages/node/src/core/node-machine.ts',
        find: "      case 'store-failed':\n",
        replace: "      case 'store-failed':\n        return\n",
      },
    ],
  },
]

const REPLICATION = 'packages/node/src/core/replication'

/** Bugs of what is done when only suspect stores are left. */
const MERGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'merge-while-one-is-away',
    wrong: 'Of suspect stores one is named to merge as soon as any of them is there.',
    edits: [
      {
        file: `${CONTROL}/epochs.ts`,
        find: 'suspectsLeft(state, record)?.every(',
        replace: 'suspectsLeft(state, record)?.some(',
      },
    ],
  },
  {
    name: 'merge-left-out',
    wrong: 'The suspect store that is to merge serves what it has itself.',
    edits: [
      {
        file: `${REPLICATION}/primary.ts`,
        find: 'if (suspects === undefined) return this.maintain(later)',
        replace: 'if (suspects === undefined || suspects.length > 0) return this.maintain(later)',
      },
    ],
  },
  {
    name: 'merge-of-members-only',
    wrong: 'What suspect stores hold that were taken out of the sets is not merged.',
    edits: [
      {
        file: `${REPLICATION}/merge.ts`,
        find: "members.includes(store) || nodes.get(store)?.trust === 'suspect'",
        replace: 'members.includes(store)',
      },
    ],
  },
  {
    name: 'merge-of-the-lowest-versions',
    wrong: 'Of the versions that suspect stores hold of a block the lowest wins.',
    edits: [
      {
        file: `${REPLICATION}/merge-rule.ts`,
        find: '(isHigher(a.version, b.version) ? -1',
        replace: '(isHigher(b.version, a.version) ? -1',
      },
    ],
  },
].map((mutant) => ({ rule: 'Amendment 11', schedule: 'only-suspect-stores-left', ...mutant }))

export const FAULT_MUTANTS: readonly Mutant[] = [...LOG_MUTANTS, ...DISK_MUTANTS, ...MERGE_MUTANTS]
