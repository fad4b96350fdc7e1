/** A part of a text, and what takes its place. */
export interface Stretch {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The text with other stretches in it. Throws where two of them overlap. */
export function spliced(text: string, stretches: readonly Stretch[]): string {
  let after = ''
  let at = 0
  for (const stretch of stretches.toSorted((a, b) => a.start - b.start)) {
    const { start, end } = stretch
    if (start < at) throw new Error(`two edits overlap at "${text.slice(start, at)}"`)
    after += text.slice(at, start) + stretch.text
    at = end
  }
  return after + text.slice(at)
}
