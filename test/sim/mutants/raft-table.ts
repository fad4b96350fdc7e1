import type { Mutant } from './mutant.ts'

const RAFT = 'packages/node/src/core/raft'

/**
 * Bugs of the control log over several voters, most of them a row of the table of pitfalls, and of what control does
 * over it.
 */
export const RAFT_MUTANTS: readonly Mutant[] = [
  {
    name: 'raft-vote-not-durable',
    rule: 'A2.14, raft pitfall 2',
    wrong: 'A vote leaves before it is on stable storage.',
    edits: [
      {
        room: RAFT,
        in: 'RaftMachine.answerVote',
        find: "this.core.send({ type: 'vote', to: from, pre, granted })",
        replace: "this.core.sendNow({ type: 'vote', to: from, pre, granted })",
      },
    ],
  },
  {
    name: 'raft-two-votes',
    rule: 'A3-33, raft pitfall 1',
    wrong: 'A voter votes for every candidate, also when it has voted in this term.',
    edits: [
      {
        room: RAFT,
        in: 'RaftMachine.answerVote',
        find: 'pre || vote === undefined || vote === from',
        replace: 'true',
      },
      {
        room: RAFT,
        in: 'RaftMachine.answerVote',
        find: 'if (vote === undefined) this.outbox.setHardState($state)',
        replace: 'if (vote !== $state.vote) this.outbox.setHardState($state)',
      },
    ],
  },
  {
    name: 'raft-vote-forgotten',
    rule: 'A3-33, raft pitfall 1',
    wrong: 'A voter that starts again has forgotten its term and its vote.',
    edits: [
      { room: RAFT, in: 'RaftMachine.constructor(start)', find: 'start.hardState ?? $initial', replace: '$initial' },
    ],
  },
  {
    name: 'raft-accepted-before-durable',
    rule: 'A2.14, raft pitfall 3',
    wrong: 'A follower says that it has entries which are not on its stable storage.',
    edits: [
      {
        room: `${RAFT}/roles`,
        in: 'Follower.onAppendEntries',
        find: 'this.core.send({ ...answer, match: verified })',
        replace: 'this.core.sendNow({ ...answer, match: verified })',
      },
    ],
  },
  {
    name: 'raft-one-vote-is-enough',
    rule: 'A3-33',
    wrong: 'A third of the votes makes a leader.',
    edits: [{ room: RAFT, in: 'isMajority(members, count)', body: 'return 3 * count >= members.voters.length' }],
  },
  {
    name: 'raft-shorter-log-elected',
    rule: 'A3-33',
    wrong: 'A voter votes for a candidate whose log lacks what its own has.',
    edits: [
      {
        room: RAFT,
        in: 'RaftMachine.answerVote',
        find: 'this.log.isUpToDate(lastIndex, lastTerm)',
        replace: 'lastIndex + lastTerm >= 0',
      },
    ],
  },
  {
    name: 'raft-committed-by-one',
    rule: 'A3-33',
    wrong: 'An entry is committed when one voter has it.',
    edits: [{ room: RAFT, in: 'majorityReached', find: 'Math.floor(values.length / 2)', replace: '0' }],
  },
  {
    name: 'raft-match-assumed',
    rule: 'raft pitfall 13',
    wrong: 'A new leader takes every follower to have its whole log.',
    edits: [
      {
        room: RAFT,
        in: 'Progress.constructor(next)',
        find: 'this.next = next',
        replace: `this.next = next
this.match = next - 1`,
      },
    ],
  },
  {
    name: 'raft-handed-over-before-durable',
    rule: 'raft pitfall 4',
    wrong: 'An entry is handed over before it is on the own disk.',
    edits: [
      { room: RAFT, in: 'RaftMachine.handOver', find: 'Math.min(log.commit, log.stable)', replace: 'log.commit' },
    ],
  },
  {
    name: 'raft-commit-beyond-verified',
    rule: 'raft pitfall 8',
    wrong: 'A follower takes over the commit index of a leader for entries that the leader has not compared.',
    edits: [
      {
        room: `${RAFT}/roles`,
        in: 'Follower.onAppendEntries',
        find: 'log.commitTo(Math.min(message.commit, verified))',
        replace: 'log.commitTo(Math.min(message.commit, log.lastIndex))',
      },
    ],
  },
  {
    name: 'raft-stable-after-truncation',
    rule: 'raft pitfall 34',
    wrong: 'Entries that take the place of durable ones count as durable too.',
    edits: [
      {
        room: RAFT,
        in: 'RaftLog.truncate',
        find: `this.stableIndex = Math.min(this.stableIndex, from - 1)
for (const saving of this.saving) saving.last = Math.min(saving.last, from - 1)`,
        replace: '',
      },
    ],
  },
  {
    name: 'raft-new-leader-grants-nothing',
    rule: 'CTL-7',
    wrong: 'A new leader of control does not count the leases that the one before gave.',
    edits: [
      {
        room: 'packages/node/src/core/control',
        in: 'Leases.grantAll',
        find: "node.state === 'down'",
        replace: "node.state !== 'none'",
      },
    ],
    schedule: 'primary-dies-with-the-leader',
  },
  {
    name: 'raft-deaf-leader-stays',
    rule: 'raft pitfalls 17 and 18',
    wrong: 'A leader that hears no majority goes on sending heartbeats.',
    edits: [
      {
        room: `${RAFT}/roles`,
        in: 'Leader.onTick',
        find: 'this.heardMajority(ctx.now)',
        replace: 'this.heardMajority(ctx.now) || ctx.now > 0',
      },
    ],
    schedule: 'deaf-leader',
  },
].map((mutant) => ({ voters: 3, ...mutant }))
