import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DevCluster } from '../kit/dev-cluster.ts'
import { InstalledProject, ROOT } from './installed-project.ts'
import { stepsOf } from './readme.ts'

const STEPS = stepsOf(readFileSync(join(ROOT, 'docs/client.md'), 'utf8'))

/** Each program with what the document says that it prints, if it says so. */
const PROGRAMS = STEPS.flatMap((step, index) => {
  const next = STEPS[index + 1]
  if (step.kind === 'program') return [{ ...step, prints: next?.kind === 'output' ? next.text : undefined }]
  assert.ok(step.kind === 'output' && STEPS[index - 1]?.kind === 'program', `a ${step.kind} that no test runs`)
  return []
})

describe('docs/client.md, in a project of somebody else', () => {
  let project: InstalledProject
  let cluster: DevCluster

  before(async () => {
    project = await InstalledProject.create()
    for (const name of ['pino', 'prom-client']) project.link(name)
    cluster = await DevCluster.start()
  })
  after(async () => {
    await cluster?.stop()
    project?.remove()
  })

  for (const { name, text, prints } of PROGRAMS) {
    test(`${name} does what the document says, and ends by itself`, async () => {
      const [first, second] = cluster.info.nodes
      assert.ok(first !== undefined && second !== undefined)
      project.write(name, text.replaceAll('127.0.0.1:7580', first.peer).replaceAll('127.0.0.1:7581', second.peer))
      const said = await project.node(name)
      assert.equal(said.code, 0, said.stdout + said.stderr)
      assert.equal(said.stderr, '')
      if (prints !== undefined) assert.equal(said.stdout, prints)
    })
  }
})
