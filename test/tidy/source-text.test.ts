import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { codeOnly, commentsOnly, importsOf } from '../../scripts/tidy/source-text.ts'

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '')

describe('the reader of sources', () => {
  test('keeps code and blanks comments, strings and regular expressions, line by line', () => {
    const source = ['const a = "await" // Promise', '/* Date', 'Buffer */ const b = /process[/]x/g.test(a)'].join('\n')
    const code = codeOnly(source)
    assert.equal(code.length, source.length)
    assert.equal(code.split('\n').length, 3)
    assert.deepEqual(words(code), ['const', 'a', '=', 'const', 'b', '=', '.test(a)'])
  })

  test('takes a slash after a value for a division', () => {
    assert.equal(codeOnly('const half = total / 2 / count'), 'const half = total / 2 / count')
    assert.equal(codeOnly('f(x) / y // z').trimEnd(), 'f(x) / y')
  })

  test('keeps the code inside a template and blanks its text, also when templates nest', () => {
    const source = 'x(`await #{inner(`Date #{deep}`, { a: 1 })} Promise`) + after'.replaceAll('#', () => '$')
    const code = codeOnly(source)
    assert.deepEqual(words(code), ['x(', 'inner(', 'deep', ',', '{', 'a:', '1', '})', ')', '+', 'after'])
  })

  test('does not end a string at an escaped quote', () => {
    assert.deepEqual(words(codeOnly(String.raw`const a = 'it\'s' + Date`)), ['const', 'a', '=', '+', 'Date'])
  })

  test('keeps only comments when asked for comments', () => {
    assert.deepEqual(words(commentsOnly("const a = 'no' // yes\nlet b /* too */")), ['//', 'yes', '/*', 'too', '*/'])
  })

  test('finds every form of import and nothing that only looks like one', () => {
    const source = [
      "import { a } from './a.ts'",
      "import './effect.ts'",
      "export type { B } from '@ashlar/proto'",
      "const c = await import('node:fs')",
      "type D = import('./d.ts').D",
      "// import './comment.ts'",
      "const bytes = Buffer.from('text')",
      'const said = `entries #{from} and on`'.replace('#', () => '$'),
      'const text = "import \'./string.ts\'"',
    ].join('\n')
    assert.deepEqual(
      importsOf(source).map(({ specifier }) => specifier),
      ['./a.ts', './effect.ts', '@ashlar/proto', 'node:fs', './d.ts'],
    )
  })
})
