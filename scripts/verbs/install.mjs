import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, ROOT, run } from './process.mjs'

/** Oldest Node that runs the packages where no pinned one exists for the platform. */
const OLDEST_NODE = [22, 15]

/**
 * Installs with `npm ci` unless node_modules already holds what package-lock.json says, and resolves to the path of the
 * Node to use from here on: the pinned one where there is one for this platform, else the one that runs this script.
 */
export async function ensureInstalled() {
  const missing = firstDifference()
  if (missing !== undefined) {
    process.stdout.write(`installing: ${missing}\n`)
    const [command, ...args] = npmCommand()
    // Errors only: npm warns of each package that wants a newer Node than its own, and none of them runs under that one.
    const code = await run('install', command, [...args, 'ci', '--ignore-scripts', '--loglevel=error'])
    if (code !== 0) throw new Failure('npm ci failed: see its message above')
  }
  return nodePath()
}

/**
 * Says what node_modules lacks or holds in another version than the lock file, or undefined when they agree. npm keeps
 * a lock file of what is really there in node_modules; packages for other platforms are optional and absent from it.
 */
export function firstDifference() {
  const installed = readLock('node_modules/.package-lock.json')
  if (installed === undefined) return 'nothing is installed yet'
  const wanted = readLock('package-lock.json')
  if (wanted === undefined) throw new Failure('package-lock.json is missing: this is not a whole checkout')
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith('node_modules/')) continue
    const present = installed[path]
    if (present === undefined) {
      if (entry.optional === true) continue
      return `${path} is not installed`
    }
    if (present.version !== entry.version || present.integrity !== entry.integrity) {
      return `${path} is not the version of package-lock.json`
    }
  }
  return undefined
}

function readLock(path) {
  const file = join(ROOT, path)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined
}

/** The npm that runs this script, or the one on the PATH. */
function npmCommand() {
  const script = process.env.npm_execpath
  return script?.endsWith('.js') ? [process.execPath, script] : ['npm']
}

function nodePath() {
  const pinned = join(ROOT, 'node_modules/.bin/node')
  if (existsSync(pinned)) return pinned
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return process.execPath
  throw new Failure(
    `there is no pinned Node for ${process.platform}-${process.arch}, and Node ${process.versions.node} is too old: ` +
      `run npm with Node ${OLDEST_NODE.join('.')} or newer`,
  )
}
