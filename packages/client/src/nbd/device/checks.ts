import { AshlarError } from '@ashlar/proto'

/** Rejects a range that is empty or leaves the device. */
export function checkRange(sizeBytes: number, offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length > 0) {
    if (length <= sizeBytes - offset) return
  }
  throw new AshlarError(
    'OUT_OF_RANGE',
    `bytes ${offset} to ${offset + length} are not in a device of ${sizeBytes} bytes`,
    {
      hint: 'Request at least one byte, from 0 up to the size of the device.',
    },
  )
}

export function checkWritable(readOnly: boolean): void {
  if (!readOnly) return
  throw new AshlarError('READ_ONLY', 'the device is read-only', { hint: 'Serve it without read-only to write to it.' })
}

export function checkOpen(closed: boolean): void {
  if (closed) throw new AshlarError('CLOSED', 'the device is closed')
}
