import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run } from './dev-cluster.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The last commit of a build that knows no feature levels (amendment 24): wire version 2, data directories of format 1. */
export const BEFORE_LEVELS = '39b6d574233e524575253513de33f8d00a446fc3'
const STARTER =
  "const { main } = await import('./packages/cli/src/main.ts')\nprocess.exitCode = await main(process.argv.slice(2))\n"

/** Another build of this software, taken out of the history of this repository. */
export interface OlderBuild extends AsyncDisposable {
  /** Program and first arguments of its `ashlar`. */
  readonly command: readonly string[]
}

/**
 * The sources of a commit in a directory of their own, over the packages that are installed here: it needs no network, and
 * nothing is built. Where the history does not reach back so far the running test is skipped, with the reason, and undefined
 * is given; with ASHLAR_REQUIRE_TOOLS=1, as in CI, it fails.
 */
export async function olderBuild(context: TestContext, commit: string): Promise<OlderBuild | undefined> {
  const git = ['-c', `safe.directory=${ROOT.replace(/\/$/, '')}`, '-C', ROOT]
  const known = await run('git', [...git, 'cat-file', '-e', `${commit}^{commit}`]).catch(() => undefined)
  if (known?.code !== 0) {
    const reason =
      `commit ${commit.slice(0, 7)} is not in the history here: ` +
      (known === undefined ? 'install git' : 'fetch it whole (git fetch --unshallow)')
    if (process.env['ASHLAR_REQUIRE_TOOLS'] === '1') throw new Error(reason)
    context.skip(reason)
    return undefined
  }
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-older-build-'))
  try {
    const archive = join(directory, 'sources.tar')
    await succeed('git', [...git, 'archive', '--format=tar', '-o', archive, commit, 'packages', 'package.json'])
    await succeed('tar', ['-x', '-f', archive, '-C', directory])
    await linkPackages(directory)
    await writeFile(join(directory, 'ashlar.mjs'), STARTER)
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
  return {
    command: [process.execPath, '--conditions=ashlar-source', join(directory, 'ashlar.mjs')],
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

/** Its own packages by their names, and all others as they are installed here. */
async function linkPackages(directory: string): Promise<void> {
  const own = join(directory, 'node_modules/@ashlar')
  await mkdir(own, { recursive: true })
  for (const name of await readdir(join(directory, 'packages')))
    await symlink(join(directory, 'packages', name), join(own, name))
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (name !== '@ashlar') await symlink(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name))
  }
}

async function succeed(command: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(command, args)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${stderr}`)
}
