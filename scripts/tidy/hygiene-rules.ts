import { codeOnly } from './source-text.ts'
import { isCode, matches, type Problem, type Rule } from './tree.ts'

/** A file of more lines than this holds more than one idea. Tests list cases, so they may be somewhat longer. */
const MAX_LINES = 400
const MAX_TEST_LINES = 500

export const fileSizes: Rule = {
  name: 'file-sizes',
  check: (tree) =>
    tree.files
      .filter(({ path }) => isCode(path))
      .flatMap(({ path, text }) => {
        const lines = text.split('\n').length - 1
        const limit = /(?:^|\/)test\//.test(path) ? MAX_TEST_LINES : MAX_LINES
        return lines <= limit ? [] : [{ path, line: 1, message: `${lines} lines, at most ${limit}: split it by idea` }]
      }),
}

const OPEN_WORK = /\b(?:TODO|FIXME|XXX)\b|\b[Nn]ot (?:yet )?implemented\b/g
const SWITCHED_OFF = /\b(?:it|test|describe|suite)\.(?:only|skip|todo)\b|\b(?:only|todo): true\b|\bskip: true\b/g

/** Work left open belongs to where work is planned; a test that is switched off proves nothing and looks as if it did. */
export const openWork: Rule = {
  name: 'open-work',
  check: (tree) =>
    tree.files
      .filter(({ path }) => isCode(path) && !isRule(path))
      .flatMap((file) => [
        ...matches(file, file.text, OPEN_WORK, ([word]) => `"${word}": finish it, or plan it elsewhere`),
        ...matches(file, codeOnly(file.text), SWITCHED_OFF, ([word]) => `${word}: a test runs, or skips with a reason`),
      ]),
}

/**
 * Core and proto mark private members with `private`: the search tells the states of a machine apart by all that it holds,
 * and reads no `#` member (test/sim/search/fingerprint.ts).
 */
export const privateMembers: Rule = {
  name: 'private-members',
  check: (tree) =>
    tree.files
      .filter(({ path }) => /^packages\/(?:node\/src\/core|proto\/src)\//.test(path))
      .flatMap((file) =>
        matches(
          file,
          codeOnly(file.text),
          /#[A-Za-z_]\w*/g,
          ([name]) => `${name}: the search sees private members only`,
        ),
      ),
}

/** The rules name what they forbid, and their tests hold bad samples. */
function isRule(path: string): boolean {
  return path.startsWith('scripts/tidy/') || path.startsWith('test/tidy/')
}

const MACHINE_PATHS = /(?<![\w.~-])\/(?:work|farm|root|Users|home\/(?!node\b)\w+)\/[\w.-]+/g

export const machinePaths: Rule = {
  name: 'machine-paths',
  check: (tree) =>
    tree.files
      .filter(({ path }) => !isRule(path))
      .flatMap((file) =>
        matches(file, file.text, MACHINE_PATHS, ([path]) => `${path} is a path of one machine: make it relative`),
      ),
}

export const lockFile: Rule = {
  name: 'lock-file',
  check: (tree) =>
    tree.files
      .filter(({ path }) => path === 'package-lock.json')
      .flatMap((file) =>
        matches(
          file,
          file.text,
          /"resolved": *"https?:[^"]*"/g,
          () => 'a registry address: npm install writes none under this .npmrc, so write the lock file again',
        ),
      ),
}

/** One version, exact dependencies, and the same licence everywhere. */
export const packageManifests: Rule = {
  name: 'package-manifests',
  check(tree) {
    const manifests = tree.files.filter(({ path }) => /^(?:packages\/[a-z]+\/)?package\.json$/.test(path))
    const versions = new Set<string>()
    const problems: Problem[] = []
    for (const file of manifests) {
      const manifest = JSON.parse(file.text) as Manifest
      const report = (message: string): void => void problems.push({ path: file.path, line: 1, message })
      if (manifest.version !== undefined) versions.add(manifest.version)
      if (manifest.license !== 'Apache-2.0') report('the license is Apache-2.0')
      for (const group of [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies]) {
        for (const [name, range] of Object.entries(group ?? {})) {
          if (!/^\d+\.\d+\.\d+$/.test(range)) report(`${name} "${range}": dependencies are exact versions`)
        }
      }
    }
    if (versions.size > 1) {
      problems.push({ path: 'package.json', line: 1, message: `versions differ: ${[...versions].join(', ')}` })
    }
    return problems
  },
}

interface Manifest {
  readonly version?: string
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
