/** The pure client machine: what the library's shell and the simulator run. */
export { ClientMachine } from './client-machine.ts'
export type {
  AllocationRun,
  CallToken,
  ClientCall,
  ClientEffect,
  ClientEvent,
  ClientFailure,
  ClientInput,
  ClientLink,
  ClientOptions,
  ClientOutcome,
  ClientResult,
  DiscardKind,
  VolumeHandle,
  VolumeState,
} from './machine.ts'
