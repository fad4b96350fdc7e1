/** A slow walk over everything that a store holds, and what comes of what it finds. */
export type { ScrubPass } from '../repositories/scrub-repository.ts'
export { RepairLimit, TOO_MANY_REPAIRS } from './repair-limit.ts'
export { ScrubSource } from './scrub-source.ts'
export {
  Scrubber,
  type ScrubberOptions,
  type ScrubCommand,
  type ScrubState,
  type ScrubStatus,
  type ScrubTotals,
} from './scrubber.ts'
