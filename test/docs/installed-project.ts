import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type RunResult, run } from '../kit/dev-cluster.ts'
import { cleanEnvironment } from './environment.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Packs one folder as `npm publish` would; resolves to the tarball. Whoever calls has built it. */
export async function pack(folder: string, into: string): Promise<string> {
  const said = await npm(['pack', join(ROOT, folder), '--pack-destination', into, '--ignore-scripts', '--silent'], into)
  assert.equal(said.code, 0, said.stderr)
  return join(into, said.stdout.trim().split('\n').at(-1) ?? '')
}

/**
 * A project of somebody else, empty but for @ashlar/client, installed from tarballs: ours as they would be published, and
 * those of the packages that they need, packed from what this checkout has installed. So no registry and no cache is asked;
 * npm finds by their versions that the tarballs are what the manifests want, or fails.
 */
export class InstalledProject {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<InstalledProject> {
    const folder = mkdtempSync(join(tmpdir(), 'ashlar-project-'))
    const project = new InstalledProject(folder)
    try {
      await project.#install()
    } catch (error) {
      project.remove()
      throw error
    }
    return project
  }

  /** Saves a file in it. */
  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text)
  }

  /** Copies a folder of this checkout into it, without the folder itself. */
  copy(from: string): void {
    cpSync(join(ROOT, from), this.folder, { recursive: true })
  }

  /** Gives it a package of this checkout that its programs use beside ours. */
  link(name: string): void {
    symlinkSync(join(ROOT, 'node_modules', name), join(this.folder, 'node_modules', name))
  }

  /** Runs a program of it with Node, as its user would. */
  async node(...args: string[]): Promise<RunResult> {
    return await run(process.execPath, args, { cwd: this.folder, onlyEnv: cleanEnvironment() })
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #install(): Promise<void> {
    const tarballs = join(this.folder, 'tarballs')
    mkdirSync(tarballs)
    this.write('package.json', JSON.stringify({ name: 'project', private: true, type: 'module' }))
    const packed: string[] = []
    for (const folder of foldersOf('@ashlar/client')) packed.push(await pack(folder, tarballs))
    const options = ['--offline', '--ignore-scripts', '--omit=optional', '--cache', join(this.folder, 'cache')]
    const said = await npm(['install', ...options, '--no-audit', '--no-fund', ...packed], this.folder)
    assert.equal(said.code, 0, said.stderr)
  }
}

/** The folders of a package and of everything that it cannot do without. */
function foldersOf(name: string, found: Map<string, string> = new Map()): string[] {
  if (found.has(name)) return [...found.values()]
  const own = /^@ashlar\/(\w+)$/.exec(name)?.[1]
  const folder = own === undefined ? `node_modules/${name}` : `packages/${own}`
  assert.ok(existsSync(join(ROOT, folder, 'package.json')), `${folder} is not installed: run npm install`)
  found.set(name, folder)
  const manifest = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>
    optionalDependencies?: Record<string, string>
  }
  const optional = manifest.optionalDependencies ?? {}
  for (const needed of Object.keys(manifest.dependencies ?? {})) {
    if (!Object.hasOwn(optional, needed)) foldersOf(needed, found)
  }
  return [...found.values()]
}

async function npm(args: readonly string[], folder: string): Promise<RunResult> {
  const onlyEnv = { ...cleanEnvironment(), npm_config_update_notifier: 'false' }
  return await run('npm', args, { cwd: folder, onlyEnv })
}
