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
 * comments and strings.
 */
export const wordsNotUsed: Rule = {
  name: 'words-not-used',
  check(tree) {
    const words = replacedWords(fileAt(tree, GLOSSARY)?.text ?? '')
    if (words.length === 0) return [{ path: GLOSSARY, line: 1, message: 'the section "Words not used" is missing' }]
    return tree.files.filter(({ path }) => isShipped(path)).flatMap((file) => problemsOf(file, words))
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
