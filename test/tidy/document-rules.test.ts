import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decisionRecords, documentNames } from '../../scripts/tidy/document-rules.ts'
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
