import type { BlockDevice } from '../device.ts'
import { type DeviceCall, wrapDevice } from './wrap.ts'

/** One call, logged when it has ended. */
export interface LoggedCall {
  readonly name: DeviceCall['name']
  readonly offset: number
  readonly length: number
  readonly fua: boolean
  readonly noHole: boolean
  /** Order in which calls began, and in which they ended, counted from 0 each. */
  readonly began: number
  readonly ended: number
  readonly milliseconds: number
  /** What it rejected with. */
  readonly error?: unknown
}

/** Logs every call with its outcome, in the order in which calls end. */
export function logFilter(device: BlockDevice, log: (call: LoggedCall) => void): BlockDevice {
  let calls = 0
  let ends = 0
  return wrapDevice(device, async (call, run) => {
    const { name, offset, length, fua, noHole } = call
    const began = calls++
    const since = performance.now()
    const report = (outcome: { error?: unknown }): void => {
      log({
        name,
        offset,
        length,
        fua,
        noHole,
        began,
        ended: ends++,
        milliseconds: performance.now() - since,
        ...outcome,
      })
    }
    try {
      const result = await run()
      report({})
      return result
    } catch (error) {
      report({ error })
      throw error
    }
  })
}
