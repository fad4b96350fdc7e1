import { setTimeout as delay } from 'node:timers/promises'
import { AshlarError } from '@ashlar/proto'
import type { BlockDevice } from '../device.ts'
import { type DeviceCall, wrapDevice } from './wrap.ts'

/** Milliseconds that a call waits before it is executed, by its name. Calls that are not named do not wait. */
export type DelayFilterOptions = { readonly [Name in DeviceCall['name'] as `${Name}Ms`]?: number }

/** Slows calls down, as a far or busy device would. Calls wait side by side; an abort ends the wait and the call. */
export function delayFilter(device: BlockDevice, options: DelayFilterOptions): BlockDevice {
  return wrapDevice(device, async (call, run) => {
    const waitMs = options[`${call.name}Ms`] ?? 0
    if (waitMs > 0) {
      const { signal } = call
      await delay(waitMs, undefined, signal === undefined ? {} : { signal }).catch((cause: unknown) => {
        throw new AshlarError('ABORTED', `a ${call.name} was aborted while it was delayed`, { cause })
      })
    }
    return run()
  })
}
