/**
 * Deliberate bugs: each leaves out one rule of the protocol, and the simulator has to notice. They test the tester. A
 * mutant is an edit of the shipped source that is made while the source is loaded by a process of its own.
 */
export interface Mutant {
  readonly name: string
  /** The rule of docs/PROTOCOL.md that it breaks. */
  readonly rule: string
  /** What it does wrong, as a sentence. */
  readonly wrong: string
  readonly edits: readonly Edit[]
  /** How many voters the clusters have that it is to be caught in: 1 when absent, but drawn by the seed in the wide family. */
  readonly voters?: number
  /** To be caught on disks that run full. */
  readonly fullDisks?: boolean
  /** To be caught by seeds of the wide family. */
  readonly wide?: boolean
  /** Caught by this directed schedule, where seeds are too rarely unlucky. */
  readonly schedule?: string
  /** Caught by the search FOUND_BY_SEARCH names alone: no seed and no schedule comes to it. */
  readonly searched?: boolean
}

export type Edit = ShapeEdit | BodyEdit

interface Somewhere {
  /** A source or a folder of sources, from the root of the repository: where in the room the function stands is free. */
  readonly room: string
  /**
   * What is changed: `Class.member`, `name`, `CONSTANT.property`. With `(a, b)` its first parameters are named, for the edit
   * to use; the source may call them otherwise.
   */
  readonly in: string
}

/** A statement or an expression that is there once, by its shape, becomes another: see shape/match.ts. */
export interface ShapeEdit extends Somewhere {
  readonly find: string
  readonly replace: string
}

/** The whole body of the function, or the whole value, becomes another. */
export interface BodyEdit extends Somewhere {
  readonly body: string
}
