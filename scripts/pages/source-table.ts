/** Rows of a table in a source, `NAME = { … }`: keys that stand together, and the comment above them. */
export interface CommentedRow {
  readonly keys: readonly string[]
  /** One sentence or more, without the marks of a comment; empty where a row has none. */
  readonly comment: string
}

/**
 * Reads the rows of `export const NAME = {` up to the line that closes it. A key without a comment belongs to the comment
 * before it (the first and the longest of a pair); with `alone` each key stands for itself.
 */
export function commentedRows(source: string, name: string, alone = false): CommentedRow[] {
  const [, body] = new RegExp(`export const ${name} = \\{\\n([\\s\\S]*?)\\n\\}`).exec(source) ?? []
  if (body === undefined) throw new Error(`there is no table ${name}`)
  const rows: { keys: string[]; comment: string }[] = []
  let comment: string | undefined
  for (const [, words, key] of body.matchAll(/\/\*\*([\s\S]*?)\*\/|^ {2}'?([\w-]+)'?:/gm)) {
    if (words !== undefined)
      comment = words
        .replace(/^\s*\* ?/gm, ' ')
        .replace(/\s+/g, ' ')
        .trim()
    if (key === undefined) continue
    const before = rows.at(-1)
    if (comment === undefined && before !== undefined && !alone) before.keys.push(key)
    else rows.push({ keys: [key], comment: comment ?? '' })
    comment = undefined
  }
  return rows
}
