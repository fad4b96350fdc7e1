import { childrenOf, isTree, type Tree } from './tree.ts'

/** A function, or another value that has a name, of one source. */
export interface Place {
  /** The value: a function, the value of a field, what a constant is. */
  readonly value: Tree
  /** Whether a mutant may replace its body: a function, not its call. */
  readonly params: readonly Tree[] | undefined
}

/**
 * What a path names in a program: `name` at the top level, or `Class.member`, `Class.constructor`, `CONSTANT.property`,
 * deeper as well. There is more than one where a getter and a setter share a name.
 */
export function placesOf(program: Tree, path: readonly string[]): Place[] {
  let found = (program['body'] as Tree[]).flatMap(declarations).filter(named(path[0]))
  for (const name of path.slice(1)) found = found.flatMap(({ value }) => members(value)).filter(named(name))
  return found.map(({ value }) => ({ value, params: value['params'] as readonly Tree[] | undefined }))
}

interface Named {
  readonly name: string
  readonly value: Tree
}

function named(name: string | undefined): (one: Named) => boolean {
  return (one) => one.name === name
}

function declarations(statement: Tree): Named[] {
  switch (statement.type) {
    case 'ExportNamedDeclaration':
      return isTree(statement['declaration']) ? declarations(statement['declaration']) : []
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
      return [{ name: nameOf(statement['id']), value: statement }]
    case 'VariableDeclaration':
      return (statement['declarations'] as Tree[]).flatMap(({ id, init }) =>
        isTree(init) ? [{ name: nameOf(id), value: init }] : [],
      )
    default:
      return []
  }
}

function members(value: Tree): Named[] {
  const list = value.type === 'ObjectExpression' ? value['properties'] : (value['body'] as Tree | undefined)?.['body']
  if (!Array.isArray(list)) return childrenOf(value).flatMap((child) => (isWrapper(value) ? members(child) : []))
  return (list as Tree[]).flatMap(({ key, value: member }) =>
    isTree(key) && isTree(member) ? [{ name: nameOf(key), value: member }] : [],
  )
}

/** `Object.freeze({ … })` and its like. */
function isWrapper({ type }: Tree): boolean {
  return type === 'CallExpression'
}

function nameOf(key: unknown): string {
  if (!isTree(key)) return ''
  if (key.type === 'PrivateIdentifier') return `#${key['name']}`
  return String(key['name'] ?? key['value'])
}
