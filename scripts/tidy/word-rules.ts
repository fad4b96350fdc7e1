import { codeOnly } from './source-text.ts'
import { fileAt, isShipped, matches, type Rule } from './tree.ts'

const GLOSSARY = 'docs/GLOSSARY.md'

/** A word that the glossary replaces by another one. */
export interface ReplacedWord {
  readonly word: string
  readonly instead: string
}

/** Rows `| not this | but this |` of the glossary's section of words that are not used. */
export function replacedWords(glossary: string): ReplacedWord[] {
  const [, section = ''] = /## Words not used\n([\s\S]*?)(?:\n## |$)/.exec(glossary) ?? []
  return [...section.matchAll(/^\| ([a-z][a-z, ]*) \| ([^|]+) \|/gm)].flatMap((row) =>
    (row[1] ?? '').split(', ').map((word) => ({ word: word.trim(), instead: (row[2] ?? '').trim() })),
  )
}

/** One meaning a word, in names too: `masterId` is found as well as `master`. */
export const wordsNotUsed: Rule = {
  name: 'words-not-used',
  check(tree) {
    const words = replacedWords(fileAt(tree, GLOSSARY)?.text ?? '')
    if (words.length === 0) return [{ path: GLOSSARY, line: 1, message: 'the section "Words not used" is missing' }]
    return tree.files
      .filter(({ path }) => isShipped(path))
      .flatMap((file) => {
        const code = codeOnly(file.text)
        return words.flatMap(({ word, instead }) =>
          matches(file, code, partOfName(word), ([found]) => `"${found}": the word is ${instead}`),
        )
      })
  },
}

/** The word as a whole part of a camelCase or PascalCase name. */
function partOfName(word: string): RegExp {
  const capital = `${word[0]?.toUpperCase()}${word.slice(1)}`
  return new RegExp(`(?<![A-Za-z])${word}(?![a-z])|${capital}(?![a-z])`, 'g')
}
