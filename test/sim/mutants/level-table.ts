import type { Mutant } from './mutant.ts'

/** Bugs of two builds side by side (amendment 24). */
export const LEVEL_MUTANTS: readonly Mutant[] = [
  {
    name: 'raised-without-one',
    rule: 'Amendment 24',
    wrong: 'The feature level rises without a node that reported none, since it is down or has just started.',
    edits: [
      {
        room: 'packages/node/src/core/control',
        in: 'knownToAll(state, { voters, learners }, heard, wanted)',
        find: 'Math.min(level, reported ?? 0)',
        replace: 'Math.min(level, reported ?? wanted)',
      },
    ],
    schedule: 'upgraded-node-by-node',
  },
  {
    name: 'new-field-on-old-links',
    rule: 'Amendment 24',
    wrong: 'A field since wire version 3 is written on links of version 2 too.',
    edits: [
      {
        room: 'packages/proto/src/codec',
        in: 'record',
        find: 'isIn(wire, shape) ? value[name] : undefined',
        replace: 'value[name]',
      },
    ],
    schedule: 'upgraded-node-by-node',
  },
  {
    name: 'end-reported-to-older-builds',
    rule: 'A2.23-1',
    wrong: 'A node that ends reports it to nodes of builds that do not know the message.',
    edits: [
      {
        room: 'packages/node/src/core',
        in: 'NodeMachine.end',
        find: 'level < FEATURES.reportedEnds',
        replace: 'level < 0',
      },
      {
        room: 'packages/node/src/core',
        in: 'NodeMachine.end',
        find: 'this.links.levelOf(link) >= FEATURES.reportedEnds',
        replace: 'this.links.levelOf(link) >= 0',
      },
    ],
    wide: true,
  },
]

/** Bugs of the reports of nodes that end (A2.23). */
export const ENDING_MUTANTS: readonly Mutant[] = [
  {
    name: 'late-report-noted',
    rule: 'A2.23-2',
    wrong: 'Voters remember why an incarnation ended, and control notes it, after a later one registered.',
    edits: [
      {
        room: 'packages/node/src/core/control',
        in: 'isNews',
        find: 'counter >= node.incarnation.counter',
        replace: 'counter >= 0',
      },
      {
        room: 'packages/node/src/core',
        in: 'ReportedEnds.onLinkUp',
        find: 'peer.counter > (this.ends.get(peer.store)?.counter ?? peer.counter)',
        replace: 'peer.counter < 0',
      },
    ],
  },
]

/** Bugs of clusters that are made of what is left of another one. */
export const RECOVERY_MUTANTS: readonly Mutant[] = [
  {
    name: 'clusters-let-each-other-in',
    rule: 'Amendment 35',
    wrong: 'Nodes of two clusters that were made of one let each other in.',
    edits: [
      {
        room: 'packages/node/src/transport',
        in: 'clusterProblem',
        find: 'own.cluster === other.cluster',
        replace: 'own.cluster !== undefined',
      },
    ],
    wide: true,
  },
]
