import { posix } from 'node:path'
import { codeOnly, importsOf } from './source-text.ts'
import { isCode, isShipped, matches, problemAt, type Rule, type Tree } from './tree.ts'

/** Folders of pure code: machines and vocabulary. tsconfig.pure.json compiles exactly these without any types. */
const PURE_ROOMS = [
  'packages/proto/src/',
  'packages/node/src/core/',
  'packages/client/src/core/',
  'packages/client/src/nbd/protocol/',
]
const NOT_PURE = ['packages/proto/src/codec/']

export function pureRoomOf(path: string): string | undefined {
  if (NOT_PURE.some((room) => path.startsWith(room))) return undefined
  return PURE_ROOMS.find((room) => path.startsWith(room))
}

/** What would make a machine's outcome depend on anything but its inputs, or hide an effect. */
const IMPURE_WORDS =
  /(?<![.\w$])(?:Date|async|await|Promise|setTimeout|setInterval|setImmediate|queueMicrotask|Buffer|process|performance|globalThis|require)\b(?!\s*[?]?:)|\bMath\.random\b/g

export const pureRooms: Rule = {
  name: 'pure-rooms',
  check: (tree) =>
    tree.files
      .filter((file) => isCode(file.path) && pureRoomOf(file.path) !== undefined)
      .flatMap((file) => [
        ...matches(
          file,
          codeOnly(file.text),
          IMPURE_WORDS,
          ([word]) => `${word} in a pure room: the shell brings it in as an input, or carries it out as an effect`,
        ),
        ...importsOf(file.text)
          .filter(({ specifier }) => specifier.startsWith('node:'))
          .map((entry) =>
            problemAt(file, entry.position, `${entry.specifier} in a pure room: only the shell may use Node`),
          ),
      ]),
}

/** Which packages a package may import. Arrows point down only: proto <- node, proto <- client, and cli uses all. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  proto: [],
  node: ['proto'],
  client: ['proto'],
  cli: ['proto', 'node', 'client'],
}

export const importArrows: Rule = {
  name: 'import-arrows',
  check(tree) {
    const doors = packageDoors(tree)
    return tree.files
      .filter((file) => isCode(file.path))
      .flatMap((file) =>
        importsOf(file.text).flatMap((entry) => {
          const message = arrowProblem(file.path, entry.specifier, doors)
          return message === undefined ? [] : [problemAt(file, entry.position, message)]
        }),
      )
  },
}

/** Says what is wrong with one import, or undefined. */
function arrowProblem(path: string, specifier: string, doors: ReadonlySet<string>): string | undefined {
  // A command that npm links is plain JavaScript, run by any Node, so it can name only what was built.
  if (/^packages\/[a-z]+\/bin\//.test(path) && specifier.startsWith('../dist/')) return undefined
  if (/(?:^|\/)dist\//.test(specifier)) return `${specifier} names a build output: import the package by its name`
  if (specifier.startsWith('@ashlar/')) return packageProblem(path, specifier, doors)
  if (specifier.startsWith('.')) return relativeProblem(path, specifier)
  if (pureRoomOf(path) !== undefined && !specifier.startsWith('node:')) {
    return `${specifier} in a pure room: it may import its own room and @ashlar/proto only`
  }
  return undefined
}

function packageProblem(path: string, specifier: string, doors: ReadonlySet<string>): string | undefined {
  if (!doors.has(specifier)) return `${specifier} is no door of its package: see "exports" in its package.json`
  if (!isShipped(path)) return undefined
  const [, from = ''] = path.split('/')
  const [, to = ''] = specifier.split('/')
  // The codec is a project and a door of its own beside the vocabulary, so it names the vocabulary like anyone else.
  if (from === to && NOT_PURE.some((room) => path.startsWith(room))) return undefined
  if (from === to) return `${specifier} is this package itself: import its files by relative path`
  if (!ARROWS[from]?.includes(to)) return `${from} may not import ${to}: it may import ${listed(ARROWS[from] ?? [])}`
  if (pureRoomOf(path) !== undefined && specifier !== '@ashlar/proto') {
    return `${specifier} in a pure room: it may import its own room and @ashlar/proto only`
  }
  return undefined
}

function relativeProblem(path: string, specifier: string): string | undefined {
  if (!isShipped(path)) return undefined
  const target = posix.join(posix.dirname(path), specifier)
  const home = path.split('/').slice(0, 2).join('/')
  if (!target.startsWith(`${home}/`)) return `${specifier} leaves the package: import the other one by its name`
  if (/\/test\//.test(target)) return `${specifier} is a test: what ships does not import it`
  const room = pureRoomOf(path)
  if (room !== undefined && pureRoomOf(target) !== room) return `${specifier} leaves the pure room ${room}`
  return undefined
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'no other package' : names.join(', ')
}

/** Every specifier that the packages' `exports` open. */
function packageDoors(tree: Tree): Set<string> {
  const doors = new Set<string>()
  for (const file of tree.files) {
    if (!/^packages\/[a-z]+\/package\.json$/.test(file.path)) continue
    const { name, exports } = JSON.parse(file.text) as { name: string; exports?: Record<string, unknown> }
    for (const door of Object.keys(exports ?? {})) doors.add(posix.join(name, door))
  }
  return doors
}

/** Third-party packages that are an implementation behind one of our ports: only its room may know them. */
const ROOMS_OF_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  level: ['packages/node/src/storage/leveldb/'],
  'classic-level': ['packages/node/src/storage/leveldb/'],
  msgpackr: ['packages/proto/src/codec/', 'packages/node/src/storage/'],
  fastify: ['packages/node/src/admin/'],
  ws: ['packages/node/src/transport/', 'packages/client/src/transport/'],
  commander: ['packages/cli/src/', 'packages/cli/bin/'],
}

export const thirdPartyRooms: Rule = {
  name: 'third-party-rooms',
  check(tree) {
    const declared = declaredDependencies(tree)
    return tree.files
      .filter((file) => isShipped(file.path))
      .flatMap((file) =>
        importsOf(file.text).flatMap((entry) => {
          const message = thirdPartyProblem(file.path, entry.specifier, declared)
          return message === undefined ? [] : [problemAt(file, entry.position, message)]
        }),
      )
  },
}

function thirdPartyProblem(
  path: string,
  specifier: string,
  declared: ReadonlyMap<string, Set<string>>,
): string | undefined {
  if (/^(?:\.|node:|@ashlar\/)/.test(specifier)) return undefined
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  const home = path.split('/').slice(0, 2).join('/')
  if (declared.get(home)?.has(name) !== true) return `${name} is no dependency of ${home}/package.json`
  const rooms = ROOMS_OF_PACKAGES[name]
  if (rooms === undefined || rooms.some((room) => path.startsWith(room))) return undefined
  return `${name} is known only in ${rooms.join(' and ')}`
}

/** Names in `dependencies`, by the package's folder. */
function declaredDependencies(tree: Tree): Map<string, Set<string>> {
  return new Map(
    tree.files
      .filter((file) => /^packages\/[a-z]+\/package\.json$/.test(file.path))
      .map((file) => {
        const { dependencies } = JSON.parse(file.text) as { dependencies?: Record<string, string> }
        return [posix.dirname(file.path), new Set(Object.keys(dependencies ?? {}))]
      }),
  )
}
