import { AshlarError, ERRORS } from '@ashlar/proto'

/** Error numbers that the NBD specification allows in replies ("Error values"); they equal Linux errno. */
export const NBD_OK = 0
export const NBD_EPERM = 1
export const NBD_EIO = 5
export const NBD_EINVAL = 22
export const NBD_ENOSPC = 28
export const NBD_EOVERFLOW = 75
export const NBD_ENOTSUP = 95
export const NBD_ESHUTDOWN = 108

/** The NBD error number for a failure of the device: that of the error table for an AshlarError, else EIO. */
export function errnoOf(error: unknown): number {
  if (!(error instanceof AshlarError)) return NBD_EIO
  return ERRORS[error.code].nbd || NBD_EIO
}

const MEANINGS: Readonly<Record<number, string>> = {
  [NBD_EPERM]: 'the export is read-only',
  [NBD_EIO]: 'input/output error',
  [NBD_EINVAL]: 'invalid request',
  [NBD_ENOSPC]: 'no space left: beyond the end of the export, or the volume is full',
  [NBD_EOVERFLOW]: 'the request is too large',
  [NBD_ENOTSUP]: 'not supported',
  [NBD_ESHUTDOWN]: 'the server is shutting down',
}

/** A short text for people, for error chunks. */
export function errnoText(errno: number): string {
  return MEANINGS[errno] ?? 'input/output error'
}
