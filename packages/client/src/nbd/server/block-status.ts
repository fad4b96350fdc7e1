import { invariant, MIB } from '@ashlar/proto'
import type { AllocationRun, BlockDevice, DeviceOptions } from '../device/device.ts'
import {
  NBD_CMD_FLAG_REQ_ONE,
  NBD_STATE_HOLE,
  NBD_STATE_ZERO,
  type NbdRequest,
  type StatusExtent,
} from '../protocol/index.ts'

/** Range of one allocation query, so that no request makes the device walk gigabytes at once. */
const SLICE_BYTES = 256 * MIB
/** Most extents of one reply; the client requests the rest from where it ends. */
const MAX_EXTENTS = 2048

/**
 * What NBD_CMD_BLOCK_STATUS is answered with for `base:allocation`: extents from the start of the request on,
 * neighbours of one state joined, none beyond its end; one if the client asked for one.
 */
export async function blockStatus(
  device: BlockDevice,
  request: NbdRequest,
  options: DeviceOptions | undefined,
): Promise<StatusExtent[]> {
  const limit = (request.flags & NBD_CMD_FLAG_REQ_ONE) === 0 ? MAX_EXTENTS : 1
  const extents: { length: number; status: number }[] = []
  let covered = 0
  while (covered < request.length && extents.length <= limit) {
    const length = Math.min(SLICE_BYTES, request.length - covered)
    const runs = await device.allocation(request.offset + covered, length, options)
    invariant(runs.length > 0, 'a device gives at least one run')
    for (const run of runs) {
      const status = statusOf(run)
      const last = extents.at(-1)
      if (last?.status === status) last.length += run.length
      else extents.push({ length: run.length, status })
      covered += run.length
    }
  }
  return extents.slice(0, limit)
}

function statusOf(run: AllocationRun): number {
  return (run.hole ? NBD_STATE_HOLE : 0) | (run.zero ? NBD_STATE_ZERO : 0)
}
