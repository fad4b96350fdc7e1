import { stripTypeScriptTypes } from 'node:module'
import { parse } from 'acorn'

/** A node of the tree that acorn makes (ESTree), as much of it as is asked for here. */
export interface Tree {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [member: string]: unknown
}

/** TypeScript as a tree. Types count for nothing; offsets are those of the text, since they are stripped to blanks. */
export function parseSource(text: string): Tree {
  return parseScript(strip(text))
}

/** Statements or an expression of a function, without types, in a function that lets them be parsed. */
export interface Fragment {
  readonly text: string
  readonly program: Tree
  readonly statements: readonly Tree[]
  /** The text of the statements in another text that has the same around them. */
  readonly unwrap: (text: string) => string
}

const BEFORE = 'async function* _() { for (;;) {'
const AFTER = '\n} }'

export function parseFragment(inner: string): Fragment {
  const text = BEFORE + inner + AFTER
  const program = parseScript(text)
  const block = [...nodesOf(program)].find((tree) => tree.type === 'ForStatement')?.['body'] as Tree
  const unwrap = (other: string): string => other.slice(BEFORE.length, -AFTER.length)
  return { text, program, statements: block['body'] as Tree[], unwrap }
}

function parseScript(text: string): Tree {
  return parse(text, {
    ecmaVersion: 'latest',
    sourceType: 'module',
    allowSuperOutsideMethod: true,
    checkPrivateFields: false,
  }) as unknown as Tree
}

/** Node warns of its own function once a process, on a stream that callers read. */
function strip(text: string): string {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(text)
  } finally {
    process.emitWarning = emitWarning
  }
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && typeof (value as Partial<Tree>).type === 'string'
}

/** What a node is besides where it stands, and how it is written. */
const WRITING: ReadonlySet<string> = new Set(['type', 'start', 'end', 'raw', 'shorthand'])

export function membersOf(tree: Tree): string[] {
  return Object.keys(tree).filter((key) => !WRITING.has(key))
}

export function childrenOf(tree: Tree): Tree[] {
  return membersOf(tree).flatMap((key) => [tree[key]].flat().filter(isTree))
}

/** The node and all below it, in the order of the text. */
export function* nodesOf(tree: Tree): Generator<Tree> {
  yield tree
  for (const child of childrenOf(tree)) yield* nodesOf(child)
}

export function isName(tree: unknown): tree is Tree & { readonly name: string } {
  return isTree(tree) && tree.type === 'Identifier'
}

/** The member that is named, not computed: a name there is no variable. */
export function isLabel(parent: Tree, child: Tree): boolean {
  switch (parent.type) {
    case 'MemberExpression':
      return child === parent['property'] && parent['computed'] === false
    case 'Property':
    case 'MethodDefinition':
    case 'PropertyDefinition':
      return child === parent['key'] && parent['computed'] === false && child !== parent['value']
    case 'LabeledStatement':
    case 'BreakStatement':
    case 'ContinueStatement':
      return child === parent['label']
    case 'MetaProperty':
    case 'ImportSpecifier':
    case 'ExportSpecifier':
      return true
    default:
      return false
  }
}
