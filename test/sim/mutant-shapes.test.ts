import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { BodyEdit, Mutant, ShapeEdit } from './mutants/mutant.ts'
import { mutate, ROOT } from './mutants/patch-source.ts'
import { canonical } from './mutants/shape/canonical.ts'
import { disguise } from './mutants/shape/disguise.ts'
import { Sources } from './mutants/shape/source.ts'
import { MUTANTS } from './mutants/table.ts'

const folder = mkdtempSync(join(tmpdir(), 'ashlar-mutants-'))
after(() => rmSync(folder, { recursive: true }))

describe('mutants of sources whose locals are called otherwise, and which are laid out otherwise', () => {
  const shipped = new Sources(ROOT)
  const mutated = new Map(MUTANTS.map((mutant) => [mutant, mutate(mutant, shipped)]))
  const files = new Set([...mutated.values()].flatMap((texts) => [...texts.keys()]))
  disguise(join(folder, 'disguised'), new Map(Array.from(files, (file) => [file, shipped.textOf(file)])))
  const disguised = new Sources(join(folder, 'disguised'))

  const programs = new Map(Array.from(files, (file) => [file, canonical(shipped.textOf(file))]))

  it('are made of the same programs, written otherwise', () => {
    for (const [file, program] of programs) {
      assert.notEqual(disguised.textOf(file), shipped.textOf(file), file)
      assert.ok(canonical(disguised.textOf(file)) === program, file)
    }
  })

  it('are the same programs', () => {
    for (const [mutant, texts] of mutated) {
      const other = mutate(mutant, disguised)
      assert.deepEqual([...other.keys()], [...texts.keys()], mutant.name)
      for (const [file, text] of texts) {
        const program = canonical(text)
        assert.ok(program !== programs.get(file), `${mutant.name} changes no program`)
        assert.ok(canonical(other.get(file) ?? '') === program, `${mutant.name}, ${file}`)
      }
    }
  })
})

describe('the shape of an edit', () => {
  mkdirSync(join(folder, 'room/inner'), { recursive: true })
  writeFileSync(
    join(folder, 'room/inner/a.ts'),
    `import { limit } from './limit.ts'
export class Store {
  readonly #kept = new Map<string, number>()
  /** Keeps it. */
  put(key: string, { size, twice = 2 }: Entry): boolean {
    if (size > limit) return false // too much
    for (const each of [1, 2]) this.#kept.set(key, size * each)
    this.#kept.set(key, size * twice)
    return true
  }
}
export const LIMITS = { 'one-key': 1, other: () => limit }
`,
  )
  writeFileSync(
    join(folder, 'room/b.ts'),
    'export function twice() { return 1 }\nexport const here = (a: number) => a + 1\n',
  )
  writeFileSync(join(folder, 'room/c.ts'), 'export function twice() { return 2 }\n')

  /** What the room is with an edit in it, in the file that it changes. */
  function applied(edit: Omit<ShapeEdit, 'room'> | Omit<BodyEdit, 'room'>): string {
    const mutant: Mutant = {
      name: 'example',
      rule: 'A2.0',
      wrong: 'Nothing.',
      edits: [{ room: 'room', ...edit }],
    }
    const [text = ''] = mutate(mutant, new Sources(folder)).values()
    return text
  }

  it('may call locals as it likes, one by one name', () => {
    const find = 'this.#kept.set(k, bytes * factor)'
    assert.throws(() => applied({ in: 'Store.put', find, replace: '' }), /2 times in Store\.put/)
    const sure = applied({
      in: 'Store.put(k, { size: bytes, twice: factor = 2 })',
      find,
      replace: 'this.#kept.set(k, { factor })',
    })
    assert.match(sure, /this\.#kept\.set\(key, \{ factor: twice \}\)\n\s*return true/)
    assert.throws(() => applied({ in: 'Store.put', find: 'this.#kept.set(k, k * factor)', replace: '' }), /0 times/)
  })

  it('takes names of the top level and members as they are', () => {
    assert.match(
      applied({ in: 'Store.put', find: 's > limit', replace: 's < limit' }),
      /if \(\(size < limit\)\) return false/,
    )
    assert.throws(() => applied({ in: 'Store.put', find: 's > bound', replace: 's' }), /0 times in Store\.put/)
    assert.throws(() => applied({ in: 'Store.put', find: 'this.#held', replace: 's' }), /0 times in Store\.put/)
  })

  it('takes a block of one statement as the statement, and $name as any expression', () => {
    const edit = { in: 'Store.put', find: 'if ($all) { return false }', replace: 'if (!$all) return false' }
    assert.match(applied(edit), /if \(!\(size > limit\)\) return false\n/)
    assert.match(
      applied({ in: 'Store.put', find: 'if ($all) return false', replace: '' }),
      /boolean \{\s+\/\/ too much/,
    )
  })

  it('replaces bodies and values', () => {
    assert.match(applied({ in: 'Store.put(a)', body: 'return a.length > 0' }), /boolean \{ return key\.length > 0 \}/)
    assert.match(applied({ in: 'here(x)', body: 'return x' }), /=> \{ return a \}/)
    assert.match(applied({ in: 'LIMITS.one-key', body: '2' }), /'one-key': \(2\)/)
    assert.match(applied({ in: 'Store.#kept', body: 'new Set()' }), /= \(new Set\(\)\)/)
  })

  it('names the mutant and the function where it is nowhere or twice', () => {
    const nowhere = { in: 'Store.get', body: '' }
    assert.throws(() => applied(nowhere), /mutant example: Store\.get is 0 times in room/)
    assert.throws(() => applied({ in: 'twice', body: '' }), /mutant example: twice is 2 times in room/)
    const gone = { in: 'Store.put', find: 'this.#kept.get(a)', replace: '' }
    assert.throws(
      () => applied(gone),
      /mutant example: its shape is 0 times in Store\.put, it must be there once \(room\/inner\/a\.ts\)/,
    )
    assert.throws(
      () => applied({ in: 'here(a, b)', body: 'return b' }),
      /mutant example: here\(a, b\) has other parameters/,
    )
  })

  it('refuses names that stand for nothing', () => {
    const edit = { in: 'Store.put', body: 'return known(1)' }
    assert.throws(() => applied(edit), /mutant example: known names nothing in room\/inner\/a\.ts/)
  })
})
