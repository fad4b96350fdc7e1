import { architectureTables } from './architecture-rules.ts'
import { pageCitations, ruleCitations, ruleNumbers } from './citation-rules.ts'
import { importCycles } from './cycle-rules.ts'
import { decisionRecords, documentNames } from './document-rules.ts'
import { fileSizes, lockFile, machinePaths, openWork, packageManifests, privateMembers } from './hygiene-rules.ts'
import { importArrows, pureRooms, thirdPartyRooms } from './room-rules.ts'
import type { Rule } from './tree.ts'
import { wordsNotUsed } from './word-rules.ts'

/** Every rule, in the order in which its problems are printed. */
export const RULES: readonly Rule[] = [
  pureRooms,
  importArrows,
  importCycles,
  thirdPartyRooms,
  fileSizes,
  openWork,
  machinePaths,
  lockFile,
  packageManifests,
  privateMembers,
  documentNames,
  decisionRecords,
  architectureTables,
  ruleCitations,
  ruleNumbers,
  pageCitations,
  wordsNotUsed,
]
