#!/usr/bin/env node
/** The `ashlar` command. Says in one line when the Node that runs it is too old, before anything newer is parsed. */
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `ashlar: Node ${process.versions.node} is too old; it needs Node 22.15 or newer: npx brings it along\n`,
  )
  process.exit(1)
}
const { main } = await import('../dist/main.js')
process.exitCode = await main(process.argv.slice(2))
