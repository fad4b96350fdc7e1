import { fileAt, type Tree } from './tree.ts'

export const EXCEPTIONS = 'scripts/tidy-exceptions.json'

/** What the rules let pass for now. Every entry that is not needed any more is refused, so the lists only shrink. */
export interface Exceptions {
  /** Files that may be longer: `{"path": {"lines": N, "reason": "…"}}`. */
  readonly files: Readonly<Record<string, { readonly lines: number; readonly reason: string }>>
  /** How many refused words each folder may hold. */
  readonly words: Readonly<Record<string, number>>
}

export function exceptionsOf(tree: Tree): Exceptions {
  const given = JSON.parse(fileAt(tree, EXCEPTIONS)?.text ?? '{}') as Partial<Exceptions>
  return { files: {}, words: {}, ...given }
}
