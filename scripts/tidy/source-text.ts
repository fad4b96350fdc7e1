/**
 * Just enough of a reader of TypeScript to tell code from comments and strings. The rules look for words and imports;
 * a word in a comment is prose, and a word in a string is data.
 */

/** Parts of a source, as half-open ranges of positions. */
interface Span {
  readonly kind: 'comment' | 'string' | 'regex'
  readonly from: number
  readonly to: number
}

/** After one of these, or one of these words, a slash starts a regular expression and is no division. */
const BEFORE_REGEX = /(?:^|[([{,;:=!&|?+\-*%^~<>}\n]|\b(?:return|typeof|case|in|of|void|delete|throw|new))\s*$/

/** Every comment, string and regular expression. Code inside `${}` of a template is not part of its spans. */
function spansOf(text: string): Span[] {
  const spans: Span[] = []
  /** Depth of braces at which each open template goes on. */
  const templates: number[] = []
  let depth = 0
  let at = 0
  const add = (kind: Span['kind'], to: number): void => {
    spans.push({ kind, from: at, to })
    at = to
  }
  while (at < text.length) {
    const char = text[at]
    const next = text[at + 1]
    if (char === '/' && next === '/') add('comment', endOr(text, text.indexOf('\n', at)))
    else if (char === '/' && next === '*') add('comment', endOr(text, text.indexOf('*/', at + 2), 2))
    else if (char === "'" || char === '"') add('string', endOfQuoted(text, at, char))
    else if (char === '`' || (char === '}' && templates.at(-1) === depth)) {
      if (char === '}') templates.pop()
      const end = endOfTemplatePart(text, at + 1)
      if (end.opensCode) templates.push(depth)
      add('string', end.at)
    } else if (char === '/' && BEFORE_REGEX.test(text.slice(Math.max(0, at - 12), at))) {
      add('regex', endOfRegex(text, at))
    } else {
      if (char === '{') depth++
      if (char === '}') depth--
      at++
    }
  }
  return spans
}

function endOr(text: string, found: number, plus = 0): number {
  return found === -1 ? text.length : found + plus
}

function endOfQuoted(text: string, start: number, quote: string): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === quote || text[at] === '\n') return at + 1
  }
  return text.length
}

function endOfTemplatePart(text: string, start: number): { at: number; opensCode: boolean } {
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '`') return { at: at + 1, opensCode: false }
    else if (text[at] === '$' && text[at + 1] === '{') return { at: at + 2, opensCode: true }
  }
  return { at: text.length, opensCode: false }
}

function endOfRegex(text: string, start: number): number {
  let inClass = false
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '\n') return start + 1
    else if (text[at] === '[') inClass = true
    else if (text[at] === ']') inClass = false
    else if (text[at] === '/' && !inClass) return at + 1 + (/^[a-z]*/.exec(text.slice(at + 1, at + 9))?.[0].length ?? 0)
  }
  return start + 1
}

/** The text with every character of comments, strings and regular expressions turned into a space; lines stay. */
export function codeOnly(text: string): string {
  return blank(text, spansOf(text))
}

/** The text with everything but its comments turned into spaces. */
export function commentsOnly(text: string): string {
  return only(text, ['comment'])
}

/** The text with everything but its comments and strings turned into spaces. */
export function proseOnly(text: string): string {
  return only(text, ['comment', 'string'])
}

function only(text: string, kinds: readonly Span['kind'][]): string {
  const rest: { from: number; to: number }[] = []
  let at = 0
  for (const span of spansOf(text)) {
    if (!kinds.includes(span.kind)) continue
    rest.push({ from: at, to: span.from })
    at = span.to
  }
  return blank(text, [...rest, { from: at, to: text.length }])
}

function blank(text: string, ranges: readonly { readonly from: number; readonly to: number }[]): string {
  let out = ''
  let at = 0
  for (const { from, to } of ranges) {
    out += text.slice(at, from) + text.slice(from, to).replace(/[^\n]/g, ' ')
    at = to
  }
  return out + text.slice(at)
}

export interface Import {
  readonly specifier: string
  readonly position: number
}

/** Every module that a source names in import and export declarations and in `import()`. */
export function importsOf(text: string): Import[] {
  const code = codeOnly(text)
  const imports: Import[] = []
  for (const span of spansOf(text)) {
    if (span.kind !== 'string' || !/['"]/.test(text[span.from] ?? '')) continue
    const before = code.slice(Math.max(0, span.from - 40), span.from)
    if (/(?<![.\w$])(?:from|import\s*\(?)\s*$/.test(before)) {
      imports.push({ specifier: text.slice(span.from + 1, span.to - 1), position: span.from })
    }
  }
  return imports
}
