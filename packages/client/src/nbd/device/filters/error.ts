import { AshlarError, type ErrorCode } from '@ashlar/proto'
import type { BlockDevice } from '../device.ts'
import { type DeviceCall, wrapDevice } from './wrap.ts'

export interface ErrorFilterOptions {
  /** Which calls fail, without having any effect. See `failShare` for a random choice. */
  readonly fails: (call: DeviceCall) => boolean
  /** INTERNAL unless given. */
  readonly code?: ErrorCode
}

/** Makes calls fail. Closing never fails. */
export function errorFilter(device: BlockDevice, options: ErrorFilterOptions): BlockDevice {
  return wrapDevice(device, async (call, run) => {
    if (call.name === 'close' || !options.fails(call)) return run()
    throw new AshlarError(options.code ?? 'INTERNAL', `an error filter failed this ${call.name}`)
  })
}

/**
 * Chooses calls at random, the same ones for the same seed.
 *
 * @param share part of the calls that are chosen, from 0 to 1
 */
export function failShare(share: number, seed: number): (call: DeviceCall) => boolean {
  let state = seed >>> 0
  return () => {
    // splitmix32
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000 < share
  }
}
