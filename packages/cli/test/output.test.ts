import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { AshlarError } from '@ashlar/proto'
import { describeFailure, exitCodeOf, report } from '../src/failure.ts'
import { formatFields, formatTable } from '../src/output.ts'
import { STOP_WITH_INPUT, stopRequests } from '../src/stop-signals.ts'
import { textIo } from './kit.ts'

describe('output for people', () => {
  it('has columns as wide as their widest cell, without trailing blanks', () => {
    const rows = [
      { name: 'a', size: 1 },
      { name: 'longer', size: 22 },
    ]
    const columns = [
      { title: 'NAME', value: (row: { name: string }) => row.name },
      { title: 'SIZE', value: (row: { size: number }) => row.size },
    ]
    assert.equal(formatTable(rows, columns as never), 'NAME    SIZE\na       1\nlonger  22\n')
  })

  it('keeps a value of several lines in its column', () => {
    assert.equal(
      formatFields([
        ['A', 'x'],
        ['Longer', ['y', 'z']],
      ]),
      'A:       x\nLonger:  y\n         z\n',
    )
  })
})

describe('a failure', () => {
  it('is one line: what is wrong, then what to do', () => {
    assert.equal(describeFailure(new AshlarError('USAGE', 'a\n  b', { hint: 'c' })), 'a b (c)')
    assert.equal(describeFailure(new AshlarError('USAGE', 'a', { hint: '' })), 'a')
  })

  it('has the exit code of its kind, and comes with its stack only when it is unexpected', () => {
    const { io, error } = textIo()
    assert.equal(report(io, new AshlarError('TIMEOUT', 'late')), 6)
    assert.equal(error(), 'ashlar: late\n')
    assert.equal(report(io, new TypeError('a bug')), 1)
    assert.match(error(), /TypeError: a bug\n +at /)
    assert.equal(exitCodeOf('text'), 1)
  })
})

describe('a request to stop', () => {
  const never = (): void => assert.fail('it was not asked to end at once')

  it('comes with SIGTERM, and a second one changes nothing', async () => {
    const stop = stopRequests(never, {})
    process.emit('SIGTERM')
    process.emit('SIGTERM')
    assert.equal(await stop.asked, 'SIGTERM')
    stop.release()
    assert.equal(process.listenerCount('SIGTERM'), 0)
  })

  it('twice with SIGINT means at once', async () => {
    let now = 0
    const stop = stopRequests(() => {
      now++
    }, {})
    process.emit('SIGINT')
    assert.equal(now, 0)
    process.emit('SIGINT')
    assert.equal(now, 1)
    stop.release()
  })

  it('comes with the end of standard input where that is enabled', async () => {
    const input = new PassThrough()
    const stop = stopRequests(never, { [STOP_WITH_INPUT]: '1' }, input)
    input.end()
    assert.equal(await stop.asked, 'the end of ashlar dev')
    stop.release()
    assert.equal(input.destroyed, true)
  })
})
