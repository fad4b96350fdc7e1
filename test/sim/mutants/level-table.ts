import type { Mutant } from './mutant.ts'

/** Bugs of two builds side by side (amendment 24). */
export const LEVEL_MUTANTS: readonly Mutant[] = [
  {
    name: 'raised-without-one',
    rule: 'Amendment 24',
    wrong: 'The feature level rises without a node that told nothing, since it is down or has just started.',
    edits: [
      {
        file: 'packages/node/src/core/control/feature-levels.ts',
        find: 'level = Math.min(level, told ?? 0)',
        replace: 'level = Math.min(level, told ?? wanted)',
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
        file: 'packages/proto/src/codec/shapes.ts',
        find: 'const member: unknown = isIn(wire, shape) ? value[name] : undefined',
        replace: 'const member: unknown = value[name]',
      },
    ],
    schedule: 'upgraded-node-by-node',
  },
]
