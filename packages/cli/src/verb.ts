import type { Io } from './io.ts'

/** What a verb needs to make its command: streams, and a way to set an exit code other than 0. */
export interface Verb {
  readonly io: Io
  readonly exit: (code: number) => void
}
