import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { NODE_ENDS } from '@ashlar/proto'
import { run } from '../kit/dev-cluster.ts'
import { ASHLAR } from './dev-process.ts'

const ashlar = (...args: string[]) => run(process.execPath, [ASHLAR, ...args])

describe('the ashlar command', () => {
  it('ends without a word when whoever reads its results has gone', async () => {
    const child = spawn(process.execPath, [ASHLAR, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const code = await new Promise((resolve) => child.once('close', resolve))
    assert.deepEqual([code, stderr], [1, ''])
  })

  it('shows help and its version on standard output', async () => {
    const help = await ashlar('--help')
    assert.deepEqual([help.code, help.stderr], [0, ''])
    assert.match(help.stdout, /^Usage: ashlar/)
    assert.match((await ashlar('--version')).stdout, /^\d+\.\d+\.\d+\n$/)
  })

  it('exits with the code of the failure and one line on standard error', async () => {
    const failures: readonly [string[], number][] = [
      [['volume', 'create', 'x'], 2],
      [['volume', 'import', '/nonexistent/image', 'x'], 3],
      [['cluster', 'info', '--server', 'http://127.0.0.1:2'], 5],
      [['cluster', 'wait', '--timeout', '1ms', '--server', 'http://127.0.0.1:2'], 6],
    ]
    for (const [args, expected] of failures) {
      const { code, stdout, stderr } = await ashlar(...args)
      assert.deepEqual([code, stdout], [expected, ''], args.join(' '))
      assert.match(stderr, /^ashlar: [^\n]+\n$/)
    }
  })

  it('ends a node that cannot start with the code of its end and one line, and leaves its log on standard output', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'ashlar-start-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const listen = ['--listen', '127.0.0.1:0', '--api', '127.0.0.1:0']
    const { code, stdout, stderr } = await ashlar('server', 'run', '--data-dir', '/dev/null/x', '--init', ...listen)
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /^ashlar: --data-dir: \/dev\/null\/x is not a directory\n$/)
    const name = ['--name', 'n1', '--advertise', '203.0.113.1:1']
    const foreign = await ashlar('server', 'run', '--data-dir', '/proc', '--init', ...listen, ...name)
    assert.equal(foreign.code, NODE_ENDS['data-directory'].exit)
    assert.match(foreign.stderr, /^ashlar: [^\n]+\n$/)
    assert.match(foreign.stdout, /"level":"fatal"/)
  })
})
