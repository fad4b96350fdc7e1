/** The map: nodes, volumes, extents and their records; its deltas, snapshots and watchers. */

export { generationOfSnapshot, mapSnapshots } from './map-snapshot.ts'
export { MapState, type Unstamped } from './map-state.ts'
export { MapWatchers } from './map-watchers.ts'
export { latestSuccessor, putExtentRecord, replaceInSync, type Sets, volumeOfExtent, without } from './membership.ts'
