import type { Edit, ShapeEdit } from '../mutant.ts'
import { type Bindings, isLocalName, Matcher } from './match.ts'
import { namesOf, renameUses } from './names.ts'
import { type Place, placesOf } from './places.ts'
import type { Source, Sources } from './source.ts'
import type { Stretch } from './splice.ts'
import { isTree, membersOf, nodesOf, parseFragment, type Tree } from './tree.ts'

/** A stretch of one source that an edit replaces. */
export interface Change extends Stretch {
  readonly file: string
}

/** Where an edit applies, and what it puts there. Throws when that is nowhere or in two places. */
export function changeOf(edit: Edit, sources: Sources): Change {
  const { path, parameters } = placeName(edit.in)
  const places = sources
    .having(edit.room, path)
    .flatMap((source) => placesOf(source.program, path).map((place) => ({ source, place })))
  const [only] = places
  if (only === undefined || places.length > 1) throw new Error(`${edit.in} is ${times(places, edit.room)}`)
  const { source, place } = only
  const bound = parameters === undefined ? new Map() : bindParameters(edit, parameters, source, place)
  return 'body' in edit ? bodyChange(edit.body, source, place, bound) : shapeChange(edit, source, place, bound)
}

/** `Class.member(ctx, message)`: the path of a place, and what the shape calls the parameters there. */
function placeName(text: string): { path: string[]; parameters: string | undefined } {
  const [, path = '', parameters] = /^([^(]+)(?:\((.*)\))?$/s.exec(text) ?? []
  return { path: path.split('.'), parameters }
}

function bindParameters(edit: Edit, parameters: string, source: Source, { params }: Place): Bindings {
  const { program, statements } = parseFragment(`((${parameters}) => {})`)
  const [arrow] = statements as [Tree]
  const given = (arrow['expression'] as Tree)['params'] as Tree[]
  const bound = new Matcher(namesOf(program), source).matchAll(given, (params ?? []).slice(0, given.length), new Map())
  if (bound === undefined) throw new Error(`${edit.in} has other parameters (${source.file})`)
  return bound
}

function bodyChange(body: string, source: Source, { value, params }: Place, bound: Bindings): Change {
  const text = rename(body, source, bound)
  if (params === undefined) return { file: source.file, start: value.start, end: value.end, text: `(${text})` }
  const { start, end } = value['body'] as Tree
  return { file: source.file, start, end, text: `{ ${text} }` }
}

function shapeChange(edit: ShapeEdit, source: Source, place: Place, bound: Bindings) {
  const { program, statements } = parseFragment(edit.find)
  const matcher = new Matcher(namesOf(program), source)
  const found = [...occurrences(matcher, statements, place.value, bound)]
  const [only] = found
  if (only === undefined || found.length > 1) {
    throw new Error(`its shape is ${times(found, edit.in)} (${source.file})`)
  }
  const { first, last, whole } = only
  const text = rename(edit.replace, source, only.bound)
  const stretch = { file: source.file, start: first.start, end: last.end }
  if (whole === 'listed') return { ...stretch, text: `${text}\n` }
  if (whole === 'alone') return { ...stretch, text: `{ ${text} }` }
  return { ...stretch, text: beginsStatement(first, place.value) ? `;(${text})` : `(${text})` }
}

/** A parenthesis there would go on with the statement before. */
function beginsStatement({ start }: Tree, within: Tree): boolean {
  return [...nodesOf(within)].some(({ type, body }) => {
    const statements = type === 'BlockStatement' ? (body as Tree[]) : []
    return statements.some((statement) => statement.type === 'ExpressionStatement' && statement.start === start)
  })
}

interface Occurrence {
  readonly first: Tree
  readonly last: Tree
  readonly bound: Bindings
  /** What is replaced: an expression, statements in a list of statements, or one that is alone after `if` or the like. */
  readonly whole: 'expression' | 'listed' | 'alone'
}

function* occurrences(matcher: Matcher, shape: readonly Tree[], within: Tree, bound: Bindings): Generator<Occurrence> {
  const [only] = shape
  const expression = shape.length === 1 && only?.type === 'ExpressionStatement' ? only['expression'] : undefined
  for (const tree of nodesOf(within)) {
    for (const key of membersOf(tree)) {
      const members = [tree[key]].flat()
      const listed = Array.isArray(tree[key])
      for (const [index, child] of members.entries()) {
        if (!isTree(child)) continue
        const run = members.slice(index, index + shape.length) as Tree[]
        const statements = child.type === only?.type ? matcher.matchAll(shape, run, bound) : undefined
        const [first = child, last = child] = [run[0], run.at(-1)]
        if (statements) yield { first, last, bound: statements, whole: listed ? 'listed' : 'alone' }
        else if (expression !== undefined && tree.type !== 'ExpressionStatement') {
          const found = matcher.match(expression, child, bound)
          if (found) yield { first: child, last: child, bound: found, whole: 'expression' }
        }
      }
    }
  }
}

function times(found: readonly unknown[], where: string): string {
  return `${found.length} times in ${where}, it must be there once`
}

/** The text with the names that the source has for what it calls by names of its own. */
function rename(code: string, source: Source, bound: Bindings): string {
  const { text, program, unwrap } = parseFragment(code)
  const { uses } = namesOf(program)
  const renamed = renameUses(text, program, uses, (name, local) => {
    const to = bound.get(name)?.name
    if (to === undefined && local === undefined && isUnknown(name, source)) {
      throw new Error(`${name} names nothing in ${source.file}`)
    }
    return to
  })
  return unwrap(renamed)
}

function isUnknown(name: string, source: Source): boolean {
  return isLocalName(name, source.names) && !(name in globalThis) && name !== 'arguments' && name !== '_'
}
