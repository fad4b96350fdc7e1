import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRegister, mirror } from '../../src/observe/register.ts'

describe('a register', () => {
  it('exposes what was counted, set and observed', async () => {
    const register = createRegister()
    const requests = register.counter('requests_total', 'Requests.', ['volume', 'code'])
    const depth = register.gauge('depth', 'Depth.')
    const seconds = register.histogram('seconds', 'Seconds.', [0.1, 1], ['volume'])
    requests.add({ volume: 'a', code: 'OK' })
    requests.add({ volume: 'a', code: 'OK' }, 2)
    requests.add({ code: 'WAIT', volume: 'a' })
    depth.set({}, 7)
    seconds.observe({ volume: 'a' }, 0.5)
    const text = await register.expose()
    assert.match(text, /^requests_total\{volume="a",code="OK"\} 3$/m)
    assert.match(text, /^requests_total\{(volume="a",code="WAIT"|code="WAIT",volume="a")\} 1$/m)
    assert.match(text, /^depth 7$/m)
    assert.match(text, /^seconds_bucket\{le="0.1",volume="a"\} 0$/m)
    assert.match(text, /^seconds_bucket\{le="1",volume="a"\} 1$/m)
  })

  it('refuses two metrics of one name, which is a bug', () => {
    const register = createRegister()
    register.counter('same_total', 'One.')
    assert.throws(() => register.counter('same_total', 'Two.'), /already been registered/)
  })

  it('forgets the series of a removed volume, and counts from 0 when it is created again', async () => {
    const register = createRegister()
    const requests = register.counter('requests_total', 'Requests.', ['volume'])
    const other = register.gauge('nodes', 'Nodes.', ['state'])
    requests.add({ volume: 'a' })
    requests.add({ volume: 'b' })
    other.set({ state: 'a' }, 1)
    register.forget('volume', 'a')
    const text = await register.expose()
    assert.doesNotMatch(text, /requests_total\{volume="a"\}/)
    assert.match(text, /requests_total\{volume="b"\} 1/)
    assert.match(text, /nodes\{state="a"\} 1/)
    requests.add({ volume: 'a' })
    assert.match(await register.expose(), /requests_total\{volume="a"\} 1/)
  })

  it('measures what is merely read at each exposition', async () => {
    const register = createRegister()
    const gauge = register.gauge('now', 'Now.')
    let value = 1
    register.onCollect(() => gauge.set({}, value))
    assert.match(await register.expose(), /^now 1$/m)
    value = 2
    assert.match(await register.expose(), /^now 2$/m)
  })

  it('mirrors a number that only rises, and stands still when it does not', async () => {
    const register = createRegister()
    let value = 3
    mirror(register, 'mirrored_total', 'Mirrored.', () => value)
    assert.match(await register.expose(), /^mirrored_total 3$/m)
    value = 2
    assert.match(await register.expose(), /^mirrored_total 3$/m)
    value = 10
    assert.match(await register.expose(), /^mirrored_total 10$/m)
  })
})
