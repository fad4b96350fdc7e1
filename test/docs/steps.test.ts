import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { stepsOf, withAddresses } from './readme.ts'

const block = (info: string, text: string): string => `\`\`\`${info}\n${text}\n\`\`\`\n`

describe('the steps of a document', () => {
  test('are its fenced blocks, in order, by their marks', () => {
    const document = `${block('sh daemon', 'npm start')}text\n${block('sh', 'a\nb')}${block('sh needs fio', 'fio')}${block('js file=x.mjs', 'y')}${block('js run=z.mjs', 'z')}${block('text prints', '1')}`
    assert.deepEqual(stepsOf(document), [
      { kind: 'daemon', text: 'npm start\n' },
      { kind: 'commands', text: 'a\nb\n', needs: [] },
      { kind: 'commands', text: 'fio\n', needs: ['fio'] },
      { kind: 'file', text: 'y\n', name: 'x.mjs' },
      { kind: 'program', text: 'z\n', name: 'z.mjs' },
      { kind: 'output', text: '1\n' },
    ])
  })

  test('are refused when a mark is misspelt, so that no block goes untested', () => {
    assert.throws(() => stepsOf(block('sh deamon', 'npm start')), /no test knows how to check the block "sh deamon"/)
    assert.throws(() => stepsOf(block('js', 'x')), /no test knows/)
  })

  test("use a test's addresses in place of the defaults", () => {
    const addresses = { apiPort: 20_000, nbd: '127.0.0.1:20050' }
    const text = 'nbdinfo nbd://127.0.0.1:10809/demo 127.0.0.1:7580\n'
    assert.equal(
      withAddresses({ kind: 'commands', text, needs: [] }, addresses).text,
      'nbdinfo nbd://127.0.0.1:20050/demo 127.0.0.1:20100\n',
    )
    assert.equal(
      withAddresses({ kind: 'daemon', text: 'npm start\n' }, addresses).text,
      'npm start -- --api-port 20000 --nbd 127.0.0.1:20050\n',
    )
  })
})
