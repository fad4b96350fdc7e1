/** What a branch looks like, and why seeds do not run such ones; the first that fits. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [
    /allocation|Allocation|queriedBlocks|joinRuns|pieceRuns/,
    'seeds do not ask what is allocated: packages/client/test, test/nbd',
  ],
  [
    /abandon|shutDown|shut-down|waitForMap|wait-for-map|listVolumes|list-volumes|describeVolume|describe-volume|volumeState/,
    'the programs of seeds do not call it: packages/client/test',
  ],
  [/recover|rebuild|survey/i, 'one seed has one control log from beginning to end: rebuild-map.test.ts, test/cluster'],
  [/describe|views?:|get (size|weight|isEmpty|tracked)|status/i, 'shown to people only: unit tests and test/cli'],
  [
    /refus|[fF]ailure|invariant|throw |does not fit|another cluster|close\(|closeLink|Error|USAGE|CONFLICT|NOT_FOUND/,
    'answers what is asked wrongly, or a peer that speaks wrongly: unit tests of the machine',
  ],
  [/\?\? |: \? |: \{\}|: : /, 'a value that seeds always have, or never: unit tests of the machine'],
]

/** A first reason for a branch that seeds do not run. */
export function reasonOf(path: string, what: string): string {
  const fits = REASONS.find(
    ([pattern]) => pattern.test(what) || (pattern.source.startsWith('recover') && pattern.test(path)),
  )
  return fits?.[1] ?? 'met too rarely for the few seeds that are counted: unit tests and directed schedules'
}
