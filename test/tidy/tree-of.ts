import type { Problem, Rule, Tree } from '../../scripts/tidy/tree.ts'

/** A repository of these files, by path. */
export function treeOf(files: Readonly<Record<string, string>>): Tree {
  return { files: Object.entries(files).map(([path, text]) => ({ path, text })) }
}

/** What a rule says about these files, as `path:line message`. */
export function said(rule: Rule, files: Readonly<Record<string, string>>): string[] {
  return rule.check(treeOf(files)).map(({ path, line, message }: Problem) => `${path}:${line} ${message}`)
}
