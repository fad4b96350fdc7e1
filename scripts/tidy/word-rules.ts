import { EXCEPTIONS, exceptionsOf } from './exceptions.ts'
import { codeOnly, proseOnly } from './source-text.ts'
import { fileAt, isShipped, matches, type Problem, type Rule, type TreeFile } from './tree.ts'

const GLOSSARY = 'docs/GLOSSARY.md'

/** A word that the glossary replaces by another one. */
export interface ReplacedWord {
  readonly word: string
  readonly instead: string
}

/** Rows `| not this | but this |` of the glossary's section of words that are not used. */
export function replacedWords(glossary: string): ReplacedWord[] {
  const [, section = ''] = /## Words not used\n([\s\S]*?)(?:\n##|$)/.exec(glossary) ?? []
  return [...section.matchAll(/^\| ([a-z][a-z, ]*?) +\| ([^|]+?) +\|/gm)].flatMap(([, words = '', instead = '']) =>
    words.split(', ').map((word) => ({ word, instead })),
  )
}

/**
 * One meaning a word: the words that the glossary replaces are refused in names (`masterId` is found as well as `master`),
 * comments and strings. A folder may hold as many as the exceptions say, for as long as it is being reworded.
 */
export const wordsNotUsed: Rule = {
  name: 'words-not-used',
  check(tree) {
    const words = replacedWords(fileAt(tree, GLOSSARY)?.text ?? '')
    if (words.length === 0) return [{ path: GLOSSARY, line: 1, message: 'the section "Words not used" is missing' }]
    const { words: allowed } = exceptionsOf(tree)
    const folders = Object.keys(allowed).sort((a, b) => b.length - a.length)
    const found = new Map<string, Problem[]>()
    for (const file of tree.files.filter(({ path }) => isShipped(path))) {
      const folder = folders.find((start) => file.path.startsWith(start)) ?? ''
      found.set(folder, [...(found.get(folder) ?? []), ...problemsOf(file, words)])
    }
    return [...found].flatMap(([folder, problems]) => {
      const limit = allowed[folder] ?? 0
      if (problems.length <= limit) return []
      if (limit === 0) return problems
      const message = `${folder} holds ${problems.length} words that are not used, at most ${limit}`
      return [{ path: EXCEPTIONS, line: 1, message }, ...problems]
    })
  },
}

function problemsOf(file: TreeFile, words: readonly ReplacedWord[]): Problem[] {
  const code = codeOnly(file.text)
  const prose = proseOnly(file.text)
  return words.flatMap(({ word, instead }) => [
    ...matches(file, code, partOfName(word), ([found]) => `"${found}": the word is ${instead}`),
    ...matches(file, prose, wholeWord(word), () => `"${word}": the word is ${instead}`),
  ])
}

/** The word as a whole part of a camelCase or PascalCase name. */
function partOfName(word: string): RegExp {
  const capital = `${word[0]?.toUpperCase()}${word.slice(1)}`
  return new RegExp(`(?<![A-Za-z])${word}(?![a-z])|${capital}(?![a-z])`, 'g')
}

/** The word by itself, its parts on one line or on two of a comment. */
function wholeWord(word: string): RegExp {
  return new RegExp(`\\b${word.replaceAll(' ', String.raw`\s+(?:\*\s+|//\s*)?`)}\\b`, 'gi')
}
