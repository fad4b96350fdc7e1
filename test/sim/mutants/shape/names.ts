import { spliced } from './splice.ts'
import { childrenOf, isLabel, isName, isTree, nodesOf, type Tree } from './tree.ts'

/** One variable or parameter of a function; what it is called is free. */
export interface Local {
  readonly name: string
}

export interface Names {
  /** What is imported or declared at the top level. */
  readonly top: ReadonlySet<string>
  /** Each name that stands for a variable: a local one, or undefined for one of the top level or of the language. */
  readonly uses: ReadonlyMap<Tree, Local | undefined>
}

type Scope = ReadonlyMap<string, Local | undefined>

/** What every name of a program means. */
export function namesOf(program: Tree): Names {
  const top = new Set(declaredIn(program['body'] as Tree[]))
  const uses = new Map<Tree, Local | undefined>()
  const scope: Scope = new Map([...top].map((name) => [name, undefined]))
  for (const child of childrenOf(program)) resolve(child, scope, uses)
  return { top, uses }
}

function resolve(tree: Tree, outer: Scope, uses: Map<Tree, Local | undefined>): void {
  if (isName(tree)) {
    uses.set(tree, outer.get(tree.name))
    return
  }
  const declared = declaredBy(tree)
  const scope =
    declared.length === 0 ? outer : new Map([...outer, ...declared.map((name) => [name, { name }] as const)])
  for (const child of childrenOf(tree)) {
    if (isLabel(tree, child)) continue
    // The name of a declared function or class belongs to the scope around it.
    const around = child === tree['id'] && tree.type.endsWith('Declaration')
    resolve(child, around ? outer : scope, uses)
  }
}

/** Names that hold inside this node only. The body of a function is a scope inside that of its parameters. */
function declaredBy(tree: Tree): string[] {
  switch (tree.type) {
    case 'FunctionDeclaration':
    case 'ArrowFunctionExpression':
      return (tree['params'] as Tree[]).flatMap(boundBy)
    case 'FunctionExpression':
      return [...boundBy(tree['id']), ...(tree['params'] as Tree[]).flatMap(boundBy)]
    case 'ClassExpression':
      return boundBy(tree['id'])
    case 'BlockStatement':
    case 'StaticBlock':
      return declaredIn(tree['body'] as Tree[])
    case 'SwitchStatement':
      return (tree['cases'] as Tree[]).flatMap((one) => declaredIn(one['consequent'] as Tree[]))
    case 'ForStatement':
      return isTree(tree['init']) ? declaredIn([tree['init']]) : []
    case 'ForInStatement':
    case 'ForOfStatement':
      return declaredIn([tree['left'] as Tree])
    case 'CatchClause':
      return boundBy(tree['param'])
    default:
      return []
  }
}

/** Names that statements declare in the scope that they stand in. `var` is nowhere in this repository. */
function declaredIn(statements: readonly Tree[]): string[] {
  return statements.flatMap((statement): string[] => {
    switch (statement.type) {
      case 'VariableDeclaration':
        return (statement['declarations'] as Tree[]).flatMap(({ id }) => boundBy(id))
      case 'FunctionDeclaration':
      case 'ClassDeclaration':
        return boundBy(statement['id'])
      case 'ImportDeclaration':
        return (statement['specifiers'] as Tree[]).flatMap(({ local }) => boundBy(local))
      case 'ExportNamedDeclaration':
        return isTree(statement['declaration']) ? declaredIn([statement['declaration']]) : []
      default:
        return []
    }
  })
}

function boundBy(pattern: unknown): string[] {
  if (!isTree(pattern)) return []
  switch (pattern.type) {
    case 'Identifier':
      return [pattern['name'] as string]
    case 'ObjectPattern':
      return (pattern['properties'] as Tree[]).flatMap((one) => boundBy(one.type === 'Property' ? one['value'] : one))
    case 'ArrayPattern':
      return (pattern['elements'] as unknown[]).flatMap(boundBy)
    case 'AssignmentPattern':
      return boundBy(pattern['left'])
    case 'RestElement':
      return boundBy(pattern['argument'])
    default:
      return []
  }
}

/** The text of a program with other names where `to` has one. */
export function renameUses(
  text: string,
  program: Tree,
  uses: Names['uses'],
  to: (name: string, local: Local | undefined) => string | undefined,
): string {
  const short = new Set(
    [...nodesOf(program)].filter((tree) => tree['shorthand'] === true).map(({ value }) => shortName(value)),
  )
  const renamed = [...uses].flatMap(([tree, local]) => {
    const { start, end } = tree
    const name = tree['name'] as string
    const other = to(name, local)
    if (other === undefined) return []
    return [{ start, end, text: short.has(tree) ? `${name}: ${other}` : other }]
  })
  return spliced(text, renamed)
}

/** In `{ a }` and `{ a = 1 }` the name is that of the member too. */
function shortName(value: unknown): unknown {
  return isTree(value) && value.type === 'AssignmentPattern' ? value['left'] : value
}
