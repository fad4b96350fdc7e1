import { posix } from 'node:path'
import { type Import, importsOf } from './source-text.ts'
import { fileAt, isCode, isShipped, type Problem, problemAt, type Rule, type Tree, type TreeFile } from './tree.ts'

/** Imports of one file that name other files of the tree by relative path. */
type Edges = ReadonlyMap<string, readonly { readonly to: string; readonly entry: Import }[]>

/**
 * No file imports itself through others. Type imports count: two files that need each other's types hold one idea, or miss
 * a third file below both.
 */
export const importCycles: Rule = {
  name: 'import-cycles',
  check(tree) {
    const sources = tree.files.filter(({ path }) => isShipped(path) && isCode(path))
    const edges = importEdges(sources)
    return cyclesOf(edges).map((cycle) => problemOf(cycle, edges, tree))
  },
}

function problemOf(cycle: readonly string[], edges: Edges, tree: Tree): Problem {
  const [first = ''] = cycle
  const back = edges.get(first)?.find(({ to }) => cycle.includes(to))
  const file = fileAt(tree, first) ?? { path: first, text: '' }
  const members = cycle.map((path) => posix.relative(posix.dirname(first), path)).join(', ')
  const message = `${cycle.length} files import each other (${members}): move what they share below them`
  return problemAt(file, back?.entry.position ?? 0, message)
}

function importEdges(files: readonly TreeFile[]): Edges {
  const known = new Set(files.map(({ path }) => path))
  return new Map(
    files.map(({ path, text }) => {
      const targets = importsOf(text)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map((entry) => ({ to: posix.join(posix.dirname(path), entry.specifier), entry }))
      return [path, targets.filter(({ to }) => known.has(to))]
    }),
  )
}

/** Groups of files that reach each other (Tarjan's strongly connected components), each in the order of their names. */
function cyclesOf(edges: Edges): string[][] {
  const order = new Map<string, number>()
  const stack: string[] = []
  const cycles: string[][] = []
  const visit = (file: string): number => {
    const index = order.size
    let low = index
    order.set(file, index)
    stack.push(file)
    for (const { to } of edges.get(file) ?? []) {
      if (!order.has(to)) low = Math.min(low, visit(to))
      else if (stack.includes(to)) low = Math.min(low, order.get(to) ?? low)
    }
    if (low === index) {
      const group = stack.splice(stack.indexOf(file))
      const importsItself = edges.get(file)?.some(({ to }) => to === file) === true
      if (group.length > 1 || importsItself) cycles.push(group.sort())
    }
    return low
  }
  for (const file of edges.keys()) if (!order.has(file)) visit(file)
  return cycles
}
