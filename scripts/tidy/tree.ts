import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One file of the repository. `path` is relative to the root, with forward slashes. */
export interface TreeFile {
  readonly path: string
  readonly text: string
}

/** What the rules look at. Built from the disk by `readTree`, or from literals in the tests of the rules. */
export interface Tree {
  readonly files: readonly TreeFile[]
}

/** One place that breaks a rule. Lines count from 1. */
export interface Problem {
  readonly path: string
  readonly line: number
  readonly message: string
}

export interface Rule {
  readonly name: string
  check(tree: Tree): Problem[]
}

/** What holds nothing written by a person: folders, and the file `.git` that a worktree has in place of the folder. */
const LEFT_OUT = new Set(['node_modules', 'dist', '.git', '.ashlar', '.cache', 'coverage'])
/** Endings of files that are not text. */
const BINARY = /\.(bin|gz|ico|img|ldb|log|png|tgz|zst)$/

/**
 * Reads every text file below `root`. Works without git, since an image or a release archive has none. Fixtures are
 * stored bytes whatever their ending, so they are left out.
 */
export function readTree(root: string): Tree {
  const files: TreeFile[] = []
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (LEFT_OUT.has(entry.name)) continue
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        if (entry.name !== 'fixtures') visit(path)
      } else if (entry.isFile() && !BINARY.test(entry.name)) {
        files.push({ path, text: readFileSync(join(root, path), 'utf8') })
      }
    }
  }
  visit('')
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) }
}

export function fileAt(tree: Tree, path: string): TreeFile | undefined {
  return tree.files.find((file) => file.path === path)
}

/** TypeScript and JavaScript sources, tests and scripts included. */
export function isCode(path: string): boolean {
  return /\.(ts|mts|mjs|js)$/.test(path)
}

export function isTest(path: string): boolean {
  return /^(?:packages\/[a-z]+\/)?test\//.test(path)
}

/** Sources that ship in a package: neither tests nor scripts. */
export function isShipped(path: string): boolean {
  return /^packages\/[a-z]+\/(src|bin)\//.test(path)
}

export function problemAt(file: TreeFile, position: number, message: string): Problem {
  return { path: file.path, line: lineAt(file.text, position), message }
}

/** Line of a position in a text, counted from 1. */
function lineAt(text: string, position: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < position; at = text.indexOf('\n', at + 1)) line++
  return line
}

/**
 * One problem for every match of a global pattern. `look` is searched, the text of `file` or what is left of it at the
 * same positions; `file` is what is reported.
 */
export function matches(
  file: TreeFile,
  look: string,
  pattern: RegExp,
  message: (match: RegExpMatchArray) => string,
): Problem[] {
  return [...look.matchAll(pattern)].map((match) => problemAt(file, match.index, message(match)))
}
