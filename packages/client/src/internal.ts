/** For the NBD server, the command line and tests of this repository: what the public door leaves out. Not stable. */

export type { ConnectedClient } from './client.ts'
export { connectClient } from './connect.ts'
export type { AllocationRun, ClientEvent, ClientFailure } from './core/machine.ts'
export type { OpenedVolume } from './volume.ts'
