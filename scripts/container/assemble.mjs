/**
 * Lays out what the image holds, from a checkout that was built and pruned: `assemble.mjs TARGET`. Sources, tests, headers
 * and documents stay behind; so does every file that only a build needs.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [target] = process.argv.slice(2)
if (target === undefined) throw new Error('usage: assemble.mjs TARGET')

const home = join(target, 'opt/ashlar')
for (const name of readdirSync('packages')) {
  for (const part of ['package.json', 'dist', 'bin']) {
    if (!existsSync(join('packages', name, part))) continue
    cpSync(join('packages', name, part), join(home, 'packages', name, part), { recursive: true })
  }
}
const node = realpathSync('node_modules/.bin/node')
mkdirSync(join(home, 'bin'), { recursive: true })
cpSync(node, join(home, 'bin/node'))
// BASE may have neither a shell nor env, so the command names its interpreter.
writeFileSync(join(home, 'bin/ashlar'), "#!/opt/ashlar/bin/node\nimport('/opt/ashlar/packages/cli/bin/ashlar.mjs')\n", {
  mode: 0o755,
})
cpSync('node_modules', join(home, 'node_modules'), { recursive: true, verbatimSymlinks: true })
for (const name of readdirSync('node_modules').filter((entry) => entry.startsWith('node-linux-'))) {
  rmSync(join(home, 'node_modules', name), { recursive: true })
}
rmSync(join(home, 'node_modules/.bin'), { recursive: true })
cpSync('scripts/container/healthcheck.mjs', join(home, 'healthcheck.mjs'))
mkdirSync(join(target, 'data'), { mode: 0o750 })
