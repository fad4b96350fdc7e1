import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { citedRules, decisionRecords, documentNames, ruleCitations } from '../../scripts/tidy/document-rules.ts'
import { replacedWords, wordsNotUsed } from '../../scripts/tidy/word-rules.ts'
import { said } from './tree-of.ts'

describe('names in documents', () => {
  test('refuse links and paths that lead nowhere', () => {
    const found = said(documentNames, {
      'docs/a.md': 'See [b](b.md),\n[c](../c.md#part) and\n`packages/node/src/gone.ts`, `docs/`.\n',
      'docs/b.md': '',
    })
    assert.deepEqual(found, [
      'docs/a.md:2 ../c.md does not exist',
      'docs/a.md:3 packages/node/src/gone.ts does not exist',
    ])
  })

  test('allow addresses, anchors, patterns, commands and build outputs', () => {
    assert.deepEqual(
      said(documentNames, {
        'a.md': '[x](https://example.org) [y](#here) `packages/*/src` `npm test` `packages/cli/dist/a.js` `-o json`\n',
      }),
      [],
    )
  })
})

const RECORD = '# T\n\n## Context\n\n## Decision\n\n## Alternatives considered\n\n## Consequences\n'

describe('decision records', () => {
  test('refuse a gap in the numbers and a missing heading', () => {
    const found = said(decisionRecords, {
      'docs/decisions/0001-a.md': RECORD,
      'docs/decisions/0003-b.md': RECORD.replace('## Alternatives considered', ''),
    }).join('\n')
    assert.match(found, /0003-b\.md:1 the name should be 0002-/)
    assert.match(found, /"## Alternatives considered" is missing/)
    assert.doesNotMatch(found, /0001/)
  })
})

describe('citations of the protocol', () => {
  const protocol = '### A2.7 Sets\n- **A2.8-4** rule\n**Amendment 5** *Copying*\n| **A3-7** | x |\n- **CTL-5** y\n'

  test('refuse a rule that the protocol does not hold', () => {
    const found = said(ruleCitations, {
      'docs/PROTOCOL.md': protocol,
      'packages/node/src/a.ts':
        "// see A2.7, A2.8-4, amendment 5, A3-7, CTL-5\n/* A2.9 and amendments 5 and 6 */\n'A2.99'\n",
    })
    assert.deepEqual(found, [
      'packages/node/src/a.ts:2 A2.9 is no rule of docs/PROTOCOL.md or docs/internals/leveldb.md',
      'packages/node/src/a.ts:2 amendment 6 is no rule of docs/PROTOCOL.md or docs/internals/leveldb.md',
    ])
  })

  test('tell the findings about LevelDB from those of the protocol', () => {
    const found = said(ruleCitations, {
      'docs/PROTOCOL.md': '- **Finding 2** x\n',
      'docs/internals/leveldb.md': '- **Leveldb finding 3** y\n',
      'packages/node/src/a.ts': '// finding 2, leveldb finding 3, finding 3\n',
    })
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', /finding 3 is no rule/)
  })

  test('refuse everything while there is no protocol', () => {
    assert.match(said(ruleCitations, {}).join(), /not written down/)
  })

  test('read lists and ranges as one rule each', () => {
    assert.deepEqual(citedRules('amendments 2, 3 and 5'), ['amendment 2', 'amendment 3', 'amendment 5'])
    assert.deepEqual(citedRules('amendments 2 to 4'), ['amendment 2', 'amendment 3', 'amendment 4'])
    assert.deepEqual(citedRules('A2.7'), ['A2.7'])
  })
})

describe('words not used', () => {
  const glossary = '## Words not used\n\n| Not | But |\n|---|---|\n| master, leader | primary |\n\n## Next\n| a | b |\n'

  test('are read from the glossary', () => {
    assert.deepEqual(replacedWords(glossary), [
      { word: 'master', instead: 'primary' },
      { word: 'leader', instead: 'primary' },
    ])
  })

  test('are refused as a name or as a part of one, and allowed in comments and inside other words', () => {
    const found = said(wordsNotUsed, {
      'docs/GLOSSARY.md': glossary,
      'packages/node/src/a.ts': 'const master = 1\nconst oldMaster = 2\n// the master\nconst mastery = remaster\n',
      'test/a.ts': 'const master = 1\n',
    })
    assert.deepEqual(
      found.map((line) => line.split(' ')[0]),
      ['packages/node/src/a.ts:1', 'packages/node/src/a.ts:2'],
    )
  })
})
