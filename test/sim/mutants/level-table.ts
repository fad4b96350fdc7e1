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
