/** One line of the NBD checklist and what proves it. */
export interface ChecklistLine {
  /** Its permanent number. */
  readonly line: number
  readonly what: string
  /** What the line waits for: without it there has to be a test. */
  readonly later?: 'identity' | 'dirty contexts' | 'TLS' | 'extended headers'
  /** Names of tests by the file that they are in; of a name with a seed in it, the part before the seed. */
  readonly tests: { readonly [file: string]: readonly string[] }
}
