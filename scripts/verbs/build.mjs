import { Failure, run } from './process.mjs'

/** Builds what `ashlar` needs to run. Incremental: nothing to do costs about a second. */
export function build(node) {
  return compile(node, ['packages/cli'])
}

/** Builds everything and checks the types of the tests too. */
export function buildAll(node) {
  return compile(node, [])
}

async function compile(node, projects) {
  const code = await run('build', node, ['node_modules/typescript/bin/tsc', '-b', ...projects])
  if (code !== 0) throw new Failure('the build failed: see the messages of tsc above')
}
