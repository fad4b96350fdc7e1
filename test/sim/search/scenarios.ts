import type { Scenario } from './state.ts'

const NOTHING: Omit<Scenario, 'name' | 'about'> = {
  stores: 2,
  minInSync: 1,
  from: 'steady',
  writes: 2,
  blocks: 1,
  reads: 0,
  retries: 0,
  crashes: 0,
  cuts: 0,
  delays: 0,
  pauses: 0,
  victims: 'stores',
}

/** The searches that every run of the tests makes to their end. Each is as large as fits; `npm run sim:search` takes larger ones. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...NOTHING,
    name: 'two-stores-crash',
    about: 'one of two stores crashes at any point of two writes, comes back at any point or is taken out',
    crashes: 1,
    pauses: 2,
  },
  {
    ...NOTHING,
    name: 'two-stores-join',
    about: 'a store comes back, is copied to and added, while two writes go on and are read',
    from: 'joining',
    reads: 1,
  },
  {
    ...NOTHING,
    name: 'three-stores-join',
    about: 'the third store comes back, is copied to and added, while two writes go on',
    stores: 3,
    minInSync: 2,
    from: 'joining',
  },
]
