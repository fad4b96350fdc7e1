import type { Local, Names } from './names.ts'
import type { Source } from './source.ts'
import { isName, isTree, membersOf, type Tree } from './tree.ts'

/**
 * What the names of a shape stand for in the source: one local each, and each local under one name; or, for a `$name`,
 * the text of the expression that is there.
 */
export type Bindings = ReadonlyMap<string, Local>

/** Compares a shape with what is there: what locals are called, types, comments and formatting are free. */
export class Matcher {
  private readonly shape: Names
  private readonly source: Names
  private readonly text: string

  constructor(shape: Names, { names, text }: Source) {
    this.shape = shape
    this.source = names
    this.text = text
  }

  /** What the shape's names stand for where it is this tree, or undefined where it is not. */
  match(shape: unknown, tree: unknown, bound: Bindings): Bindings | undefined {
    if (Array.isArray(shape)) return Array.isArray(tree) ? this.matchAll(shape, tree, bound) : undefined
    if (!isTree(shape)) return this.sameValue(shape, tree) ? bound : undefined
    if (!isTree(tree)) return undefined
    if (isName(shape) && shape.name.startsWith('$')) {
      if (bound.has(shape.name)) throw new Error(`${shape.name} is there twice`)
      return new Map(bound).set(shape.name, { name: `(${this.text.slice(tree.start, tree.end)})` })
    }
    if (isName(shape) && isName(tree)) return this.matchName(shape, tree, bound)
    const [a, b] = shape.type === tree.type ? [shape, tree] : [bare(shape), bare(tree)]
    if (a.type !== b.type) return undefined
    let now: Bindings | undefined = bound
    for (const key of membersOf(a)) {
      now = this.match(a[key], b[key], now)
      if (now === undefined) return undefined
    }
    return now
  }

  /** The whole of one list against the whole of the other. */
  matchAll(shapes: readonly unknown[], trees: readonly unknown[], bound: Bindings): Bindings | undefined {
    if (shapes.length !== trees.length) return undefined
    let now: Bindings | undefined = bound
    for (const [index, shape] of shapes.entries()) {
      now = this.match(shape, trees[index], now)
      if (now === undefined) return undefined
    }
    return now
  }

  private matchName(shape: Tree & { name: string }, tree: Tree & { name: string }, bound: Bindings) {
    const isVariable = this.shape.uses.has(shape)
    if (isVariable !== this.source.uses.has(tree)) return undefined
    const known = isVariable ? bound.get(shape.name) : undefined
    const local = this.source.uses.get(tree)
    if (known !== undefined) return known === local ? bound : undefined
    if (local === undefined) return shape.name === tree.name ? bound : undefined
    const mayBeLocal = this.shape.uses.get(shape) !== undefined || isLocalName(shape.name, this.source)
    if (!mayBeLocal || [...bound.values()].includes(local)) return undefined
    return new Map(bound).set(shape.name, local)
  }

  private sameValue(a: unknown, b: unknown): boolean {
    if (typeof a !== 'object' || a === null) return a === b
    return JSON.stringify(a) === JSON.stringify(b)
  }
}

/** Names that a source declares at its top level, and those of the language, stand for themselves; others are locals. */
export function isLocalName(name: string, source: Names): boolean {
  return !(source.top.has(name) || name === 'undefined' || /^[A-Z]/.test(name))
}

/** A block of one statement is the statement. */
export function bare(tree: Tree): Tree {
  if (tree.type !== 'BlockStatement') return tree
  const [only, more] = tree['body'] as Tree[]
  return only !== undefined && more === undefined && !only.type.endsWith('Declaration') ? only : tree
}
