import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { run } from '../kit/dev-cluster.ts'
import { InstalledProject, pack, ROOT } from './installed-project.ts'

const PACKAGES = ['proto', 'node', 'client', 'cli']

describe('the packages, as they would be published', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ashlar-packed-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  for (const name of PACKAGES) {
    test(`publint and arethetypeswrong have nothing to say of ${name}, and it carries the license`, async () => {
      const tarball = await pack(`packages/${name}`, folder)
      const { messages, pkg } = await publint({
        pack: { tarball: readFileSync(tarball).buffer as ArrayBuffer },
        strict: true,
      })
      assert.deepEqual(
        messages.map((message) => formatMessage(message, pkg, { color: false })),
        [],
      )
      // These are packages of ES modules: what require() and resolvers older than "exports" see is not offered.
      const attw = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js')
      const said = await run(process.execPath, [attw, tarball, '--profile', 'esm-only', '--no-color', '--no-emoji'])
      assert.equal(said.code, 0, said.stdout + said.stderr)
      const listed = await run('tar', ['-xzOf', tarball, 'package/LICENSE'])
      assert.equal(listed.stdout, readFileSync(join(ROOT, 'LICENSE'), 'utf8'))
    })
  }
})

describe('the client, installed from its tarballs into an empty project', () => {
  let project: InstalledProject

  before(async () => {
    project = await InstalledProject.create()
  })
  after(() => project?.remove())

  test('runs: volumes, streams, NBD, and a cluster in memory', async () => {
    project.write('program.mjs', PROGRAM)
    const said = await project.node('program.mjs')
    assert.deepEqual([said.code, said.stdout, said.stderr], [0, 'hello over nbd://\n', ''])
  })

  test('has declarations that take every right use and no wrong one', async () => {
    project.copy('test/docs/consumer')
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const said = await project.node(tsc, '-p', '.', '--typeRoots', join(ROOT, 'node_modules/@types'))
    assert.equal(said.code, 0, said.stdout)
  })

  test('has a public door of at most 60 lines', () => {
    const door = readFileSync(join(project.folder, 'node_modules/@ashlar/client/dist/index.d.ts'), 'utf8')
    assert.ok(door.trim().split('\n').length <= 60, door)
  })
})

const PROGRAM = `
import { connect, AshlarError } from '@ashlar/client'
import { serveNbd } from '@ashlar/client/nbd'
import { memoryCluster } from '@ashlar/client/testing'

await using cluster = await memoryCluster({ volumes: [{ name: 'demo', sizeBytes: 65536 }] })
await using client = await cluster.connect()
await using volume = await client.openVolume('demo')
const writer = volume.writable({ start: 5000 }).getWriter()
await writer.write(new TextEncoder().encode('hello'))
await writer.close()
let text = ''
for await (const chunk of volume.readable({ start: 5000, end: 5005 })) text += new TextDecoder().decode(chunk)
await using server = await serveNbd([volume], { listen: '127.0.0.1:0' })
console.log(text, 'over', server.addresses[0].uri.slice(0, 6))
const nobody = await connect({ servers: ['127.0.0.1:1'] }).catch((error) => error)
if (!(nobody instanceof AshlarError) || nobody.code !== 'NO_CONTROL') throw nobody
`
