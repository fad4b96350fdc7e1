/** One fact of LevelDB that the store has to live with, and what proves that it does. */
export interface ChecklistLine {
  /** Its permanent number in the findings of docs/internals/leveldb.md. */
  readonly line: number
  /** What the code has to do because of it. */
  readonly what: string
  /** Why no test proves it; without this there has to be one. */
  readonly untested?: string
  /** Names of tests by the file that they are in; of a name with a variable in it, the part before that. */
  readonly tests: { readonly [file: string]: readonly string[] }
}

const NODE = 'packages/node/test/storage'
const SUITE = 'packages/node/test/conformance/storage-driver-suite.ts'
const DRIVERS = `${NODE}/drivers.test.ts`
const STORE = `${NODE}/store.test.ts`
const OPEN = `${NODE}/open-store.test.ts`
const DAMAGE = `${NODE}/store-damage.test.ts`
const DROPPING = `${NODE}/dropping.test.ts`
const POWER_CUT = `${NODE}/power-cut.test.ts`
const FULL_DISK = `${NODE}/full-disk.test.ts`
const SWEEP = 'test/storage/sweep.test.ts'
const CHECKLIST_TEST = 'test/storage/checklist.test.ts'

const SURVIVES = 'every acknowledged write survives the loss of all unsynced data, also across log rotations'
const SWEPT = 'whatever call fails and whatever bit flips, no wrong byte is returned and no acknowledged write is lost'
const SYNC_FAILED = 'after a failed sync (the '

/** The findings of docs/internals/leveldb.md, each with the tests that prove what is done about it. */
export const CHECKLIST: readonly ChecklistLine[] = [
  { line: 1, what: 'every batch is applied synced', tests: { [POWER_CUT]: [SURVIVES] } },
  {
    line: 2,
    what: 'a kill loses nothing acknowledged; a power cut loses nothing that was synced',
    tests: {
      [`${NODE}/kill.test.ts`]: ['every acknowledged write survives repeated kills of a writing process'],
      [DRIVERS]: [
        'a power cut may lose any unsynced batches, also one before another that survives, and no synced one',
      ],
    },
  },
  {
    line: 3,
    what: 'the directory is synced after each opening, for the names of new logs',
    tests: { [POWER_CUT]: [SURVIVES] },
  },
  {
    line: 4,
    what: 'no barrier is needed: a synced batch has every batch before it on stable storage',
    tests: { [DRIVERS]: ['every batch up to the last synced one survives a random power cut'] },
  },
  {
    line: 5,
    what: 'batches are gathered in our own queue',
    tests: {
      [STORE]: [
        'one batch is in flight, waiting entries form the next, and completions are in order',
        'a batch gathers up to its limit, and at least one change of any size',
      ],
    },
  },
  {
    line: 6,
    what: 'a failed fsync ends the store, and is never tried again',
    tests: {
      [POWER_CUT]: [SYNC_FAILED],
      [STORE]: ['a failed store reports its failure once and completes nothing afterwards'],
      [SWEEP]: [SWEPT],
    },
  },
  {
    line: 7,
    what: 'any write error poisons the driver, also one that LevelDB forgets',
    tests: {
      [DRIVERS]: ['a driver with a failed write refuses further writes and still reads'],
      [FULL_DISK]: ['a store on a full disk fails, keeps every acknowledged write, and opens again with its ballast'],
      [SWEEP]: [SWEPT],
    },
  },
  {
    line: 8,
    what: 'LOG is read after every opening; a dropped record makes the store suspect',
    tests: {
      [OPEN]: [
        'a record that the engine dropped makes the store suspect, also at later openings',
        'LOG files of the engine are kept until they were read, then only some of them',
      ],
      [`${NODE}/offline-store.test.ts`]: [
        'finding 4: a record that LevelDB drops in this reading makes every replica suspect',
      ],
    },
  },
  {
    line: 9,
    what: 'every block has a checksum of our own, and versions have digests: verified on every read and by the scrub',
    tests: {
      [DAMAGE]: [
        'a flipped bit in the bytes is found on read, recorded, and cleared by an overwrite',
        'a flipped bit of a version value shows as damage or as another version, never as zeroes',
        'A2.17-6: a block with an older version is damaged on every read, and requests of peers for it get no response',
      ],
      [`${NODE}/scrub.test.ts`]: [
        'reads every block, and reports blocks with wrong or missing bytes, which are recorded on disk',
        'finds lost versions, without which their blocks would read as zeroes',
      ],
      [SWEEP]: [SWEPT],
    },
  },
  {
    line: 10,
    what: 'LevelDB never repairs a database',
    tests: { [CHECKLIST_TEST]: ['leveldb finding 10: nothing that ships repairs or destroys a database'] },
  },
  {
    line: 11,
    what: 'writes are held back before LevelDB stalls them',
    untested:
      'nothing watches level 0 but the metric ashlar_storage_driver; one batch in flight bounds what a stall blocks to one thread',
    tests: {},
  },
  {
    line: 12,
    what: 'one batch is in flight a database',
    tests: { [STORE]: ['one batch is in flight, waiting entries form the next, and completions are in order'] },
  },
  {
    line: 13,
    what: 'sizes of buffers, files and table blocks fit large values',
    untested: 'a choice of numbers, measured and not proven: docs/benchmarks.md',
    tests: {},
  },
  {
    line: 14,
    what: 'a read sees the state of its call, and distinguishes absent from empty',
    tests: {
      [SUITE]: [
        'get, getMany and scan see the state at the call, not a later one',
        'a key that was never written is undefined, an empty value is not',
      ],
    },
  },
  {
    line: 15,
    what: 'iterators are short, and are closed also where they are left early',
    tests: {
      [SUITE]: ['a scan that is left early leaves the driver usable'],
      [DROPPING]: ['deletes all its keys and leaves the other replicas unchanged'],
    },
  },
  {
    line: 16,
    what: 'a database that another has open says so',
    tests: {
      [DRIVERS]: ['a second open of a database in use is refused with the reason'],
      [OPEN]: ['a directory in use is refused with the reason'],
    },
  },
  {
    line: 17,
    what: 'the range of a deleted replica is compacted',
    tests: {
      [SUITE]: ['compaction keeps the content, and figures are numbers'],
      [`${NODE}/space.test.ts`]: [
        'a short disk gets discarded space back: most first, one replica at a time, and each once if it opens full',
      ],
    },
  },
  {
    line: 18,
    what: 'closing waits for what is on its way, and a clean end is written down',
    tests: {
      [SUITE]: ['close waits for what was called before it, and later calls say that it is closed'],
      [STORE]: ['a clean stop leaves no journal, and close waits for executed effects'],
    },
  },
  {
    line: 19,
    what: 'a store is formatted under another name and renamed',
    tests: { [OPEN]: ['remains of a crashed format are removed, and a store without its name is none'] },
  },
  {
    line: 20,
    what: 'numbers in keys are big-endian',
    tests: { [SUITE]: ['a scan is ascending bytewise, from included, to excluded'] },
  },
  {
    line: 21,
    what: 'an opening checks LOG, identity against sidecar, and the numbers of the journal',
    tests: {
      [OPEN]: [
        'an absent, unreadable or foreign sidecar is refused',
        'an emptied database is refused, since its identity is missing',
      ],
      [DAMAGE]: ['a hole in the journal makes the store suspect, and digests are computed from the present versions'],
    },
  },
  {
    line: 22,
    what: 'a store that the engine ends by an assertion has returned nothing wrong',
    tests: { [SWEEP]: [SWEPT] },
  },
]
