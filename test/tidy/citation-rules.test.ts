import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pageCitations, ruleCitations, ruleNumbers } from '../../scripts/tidy/citation-rules.ts'
import { citationsIn, citedRules, protocolRules } from '../../scripts/tidy/rule-books.ts'
import { said } from './tree-of.ts'

const PROTOCOL = `# The protocol
### A2.7 Sets (amendments 18 and 29)
- **A2.7-5** _Slow and silent_ (amendment 30, with A2.7 and CTL-5). Text (A2.7 is only mentioned).
- **A2.8-4** A rule without a title. More.
- **CTL-5** y
| A2.7 to A2.8-4 | no rule |
| **A3-7** | two stores are equal |
- **Finding 2** z
`

describe('rules of a book', () => {
  test('are read with their titles and the names that they had', () => {
    assert.deepEqual(protocolRules(PROTOCOL), [
      { name: 'A2.7', title: 'Sets', aliases: ['amendment 18', 'amendment 29'] },
      { name: 'A2.7-5', title: 'Slow and silent', aliases: ['amendment 30'] },
      { name: 'A2.8-4', title: 'A rule without a title', aliases: [] },
      { name: 'CTL-5', title: 'y', aliases: [] },
      { name: 'A3-7', title: 'two stores are equal', aliases: [] },
      { name: 'finding 2', title: 'z', aliases: [] },
    ])
  })
})

describe('numbers of rules', () => {
  test('are refused where one stands twice, and where an amendment got lost', () => {
    assert.deepEqual(
      said(ruleNumbers, {
        'docs/PROTOCOL.md':
          '- **A2.1-1** _One_ (amendments 1 and 4).\n- **A2.1-1** _Two_ (amendment 4, with A2.1-1).\n| **A3-1** | x |\n- **S-1** y (amendment 3)\n',
      }).map((line) => line.replace('docs/PROTOCOL.md:1 ', '')),
      [
        'A2.1-1 stands twice',
        'amendment 4 stands twice',
        'amendment 2 has become no rule',
        'amendment 3 has become no rule',
      ],
    )
  })
})

describe('citations', () => {
  test('of a list or a range are of each of its rules', () => {
    assert.deepEqual(citedRules('amendments 2, 3 and 5'), ['amendment 2', 'amendment 3', 'amendment 5'])
    assert.deepEqual(citedRules('Amendments 2 to 4'), ['amendment 2', 'amendment 3', 'amendment 4'])
    assert.deepEqual(citedRules('a2.7'), ['A2.7'])
    assert.deepEqual(citedRules('raft pitfalls 5, 6'.slice(5)), ['pitfall 5', 'pitfall 6'])
  })

  test('go on over the end of a line of a comment', () => {
    assert.deepEqual(
      citationsIn('/**\n * by amendments\n * 2 and\n * 3, decision 7\n * 9 times\n */').map(({ rule }) => rule),
      ['amendment 2', 'amendment 3', 'decision 7'],
    )
  })

  test('are refused where no page has the rule, in comments, documents and tests', () => {
    const found = said(ruleCitations, {
      'docs/PROTOCOL.md': PROTOCOL,
      'docs/internals/leveldb.md': '- **Leveldb finding 3** y\n',
      'docs/internals/control-log.md': '| 10, 11 | x | y |\n',
      'docs/decisions/0007-x.md': '',
      'test/nbd/checklist/requests.ts': '{ line: 12, what: 1 }',
      'docs/a.md': 'amendment 31\n',
      'packages/node/src/a.ts': [
        '// A2.7, A2.8-4, amendments 18 and 29, A3-7, CTL-5, finding 2, leveldb finding 3, decision 7, raft pitfall 11, nbd 12, nbd 127.0.0.1',
        '/* A2.9 and amendments 18 and 31, finding 3, decision 8, pitfall 12, nbd 13, S-9 */',
        "'A2.99'",
      ].join('\n'),
      'packages/node/test/a.test.ts': "test('A2.99 in its name')",
    })
    const at = (rule: string) => `packages/node/src/a.ts:2 ${rule} is in no page of this repository`
    assert.deepEqual(found, [
      'docs/a.md:1 amendment 31 is in no page of this repository',
      ...['A2.9', 'amendment 31', 'finding 3', 'decision 8', 'pitfall 12', 'nbd 13', 'S-9'].map(at),
      'packages/node/test/a.test.ts:1 A2.99 is in no page of this repository',
    ])
  })

  test('are refused while there is no protocol', () => {
    assert.match(said(ruleCitations, {}).join(), /not written down/)
  })

  test('of pages that are not here are refused, those of other projects by name are not', () => {
    const found = said(pageCitations, {
      'docs/benchmarks.md': '',
      'packages/node/src/a.ts': [
        '// design 6, (design: 50 ms), design.md section 3',
        '// section 9, requirement 4',
        "// Raft section 6, Ongaro's thesis, section 4.2.2, RFC 6455 section 7.4.1",
        '/* RFC 4291',
        ' * section 2.2; docs/benchmarks.md, doc/proto.md, protocol.md */',
        "const text = 'section 9 of design.md'",
      ].join('\n'),
    })
    assert.deepEqual(
      found.map((line) => line.replace('packages/node/src/a.ts:', '').split(': ')[0]),
      [
        '1 "design 6"',
        '1 "(design:"',
        '1 "design.md section 3"',
        '2 "requirement 4"',
        '1 "section 3"',
        '2 "section 9"',
      ].concat(['1 design.md does not exist', '5 protocol.md does not exist']),
    )
  })
})
