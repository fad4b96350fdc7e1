import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { replacedWords, wordsNotUsed } from '../../scripts/tidy/word-rules.ts'
import { said } from './tree-of.ts'

const GLOSSARY = {
  'docs/GLOSSARY.md': `# Words

## Words not used

| Not             | But                |
| --------------- | ------------------ |
| master, slave   | primary, replica   |
| for ever        | permanently        |

### Terms that were replaced

| Was  | Is   |
| ---- | ---- |
| fact | event |
`,
}
const FILE = 'packages/node/src/core/a.ts'

function found(source: string): string[] {
  return said(wordsNotUsed, { ...GLOSSARY, [FILE]: source })
}

describe('words not used', () => {
  test('are read from the section of the glossary, up to the next heading', () => {
    assert.deepEqual(replacedWords(GLOSSARY['docs/GLOSSARY.md']), [
      { word: 'master', instead: 'primary, replica' },
      { word: 'slave', instead: 'primary, replica' },
      { word: 'for ever', instead: 'permanently' },
    ])
  })

  for (const source of [
    'const masterId = 1',
    'const isMaster = 1',
    '// the master',
    "log('a Master')",
    'const a = `a slave`',
  ])
    test(`refuse ${source}`, () => assert.match(found(source).join(), /a\.ts:1 .*: the word is primary, replica/))

  test('refuse a phrase on two lines of a comment', () => {
    assert.match(found('/**\n * it waits for\n * ever\n */').join(), /a\.ts:2 "for ever": the word is permanently/)
  })

  test('allow parts of other words, words that people check, and tests', () => {
    assert.deepEqual(found("const mastery = 1 // mastered, a fact, forever\nconst b = 'enslaved'\n"), [])
    assert.deepEqual(said(wordsNotUsed, { ...GLOSSARY, 'packages/node/test/a.ts': '// the master' }), [])
  })

  test('refuse a glossary without the section', () => {
    assert.match(
      said(wordsNotUsed, { 'docs/GLOSSARY.md': '# Words\n' }).join(),
      /the section "Words not used" is missing/,
    )
  })
})
