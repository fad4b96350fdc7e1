import { AshlarError, type Bytes, type Millis } from '@ashlar/proto'

/** Sizes and durations as operators write them: `512Mi`, `10Gi`, `500ms`, `30s`. */

const SIZE_UNITS = [
  ['Ti', 2 ** 40],
  ['Gi', 2 ** 30],
  ['Mi', 2 ** 20],
  ['Ki', 2 ** 10],
] as const
const SIZE = /^(\d+)(Ti|Gi|Mi|Ki)?$/

const DURATION_UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const
const DURATION = /^(\d+)(h|m|s|ms)$/

/**
 * Bytes of a size: a whole number, alone (bytes) or with Ki, Mi, Gi or Ti (powers of 1024). Throws USAGE. Decimal
 * units are refused, because 10G and 10Gi differ by 7 %.
 */
export function parseBytes(text: string): Bytes {
  const match = SIZE.exec(text)
  if (match === null) {
    throw new AshlarError('USAGE', `"${text}" is not a size`, {
      hint: 'write a whole number of bytes, or one with Ki, Mi, Gi or Ti: 512Mi, 10Gi',
    })
  }
  const factor = SIZE_UNITS.find(([unit]) => unit === match[2])?.[1] ?? 1
  const bytes = Number(match[1]) * factor
  if (!Number.isSafeInteger(bytes)) throw new AshlarError('USAGE', `"${text}" is more than 8Pi, the largest size`)
  return bytes
}

/** The shortest exact way to write a size: 1073741824 is `1Gi`, 1000 is `1000`. `parseBytes` gives the same bytes back. */
export function formatBytes(bytes: Bytes): string {
  const unit = bytes === 0 ? undefined : SIZE_UNITS.find(([, factor]) => bytes % factor === 0)
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`
}

/** Milliseconds of a duration: a whole number with ms, s, m or h. Throws USAGE with what was wrong. */
export function parseDuration(text: string): Millis {
  const match = DURATION.exec(text)
  const factor = DURATION_UNITS.find(([unit]) => unit === match?.[2])?.[1]
  if (match === null || factor === undefined) {
    throw new AshlarError('USAGE', `"${text}" is not a duration`, {
      hint: 'write a whole number with ms, s, m or h: 500ms, 30s, 5m',
    })
  }
  const milliseconds = Number(match[1]) * factor
  if (milliseconds > MAX_TIMEOUT_MS) {
    throw new AshlarError('USAGE', `"${text}" is longer than 24 days, the longest duration`)
  }
  return milliseconds
}

/** Timers of Node.js fire at once for anything longer than this. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** The shortest exact way to write a duration: 30000 is `30s`, 1500 is `1500ms`. */
export function formatDuration(milliseconds: Millis): string {
  const unit = milliseconds === 0 ? undefined : DURATION_UNITS.find(([, factor]) => milliseconds % factor === 0)
  return unit === undefined ? `${milliseconds}ms` : `${milliseconds / unit[1]}${unit[0]}`
}

/** Space that is kept free: bytes plus a percentage of the disk. */
export interface ReserveQuantity {
  readonly bytes: Bytes
  readonly percent: number
}

const PERCENT = /^(\d{1,2}(?:\.\d{1,3})?)%$/

/** Bytes, a share of the disk, or both added up: `512Mi`, `5%`, `256Mi+5%`. Throws USAGE with what was wrong. */
export function parseReserve(text: string): ReserveQuantity {
  const parts = text.split('+')
  const percent = PERCENT.exec(parts.at(-1) ?? '')?.[1]
  const sizes = percent === undefined ? parts : parts.slice(0, -1)
  if (sizes.length > 1 || parts.length > 2) {
    throw new AshlarError('USAGE', `"${text}" is not a reserve`, {
      hint: 'write a size, a share of the disk below 100 %, or both: 512Mi, 5%, 256Mi+5%',
    })
  }
  const [size] = sizes
  return { bytes: size === undefined ? 0 : parseBytes(size), percent: Number(percent ?? 0) }
}

/** The shortest way to write a reserve. `parseReserve` gives the same back. */
export function formatReserve({ bytes, percent }: ReserveQuantity): string {
  if (percent === 0) return formatBytes(bytes)
  return bytes === 0 ? `${percent}%` : `${formatBytes(bytes)}+${percent}%`
}
