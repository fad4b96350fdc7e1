/** The middle one, or the mean of the two in the middle. Throws RangeError when there is none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.floor((sorted.length - 1) / 2)]
  if (upper === undefined || lower === undefined) throw new RangeError('there is no median of nothing')
  return (lower + upper) / 2
}

/** The smallest value that a share of them, from 0 to 1, does not exceed. Throws RangeError when there is none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
  if (value === undefined) throw new RangeError('there is no percentile of nothing')
  return value
}

/** Largest distance between two values, as a share of their median; 0 when all are equal. */
export function spread(values: readonly number[]): number {
  const middle = median(values)
  return middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / middle
}

/** The median of each figure. Every object has the keys of the first. */
export function medianOfEach<K extends string>(objects: readonly Readonly<Record<K, number>>[]): Record<K, number> {
  const keys = Object.keys(objects[0] ?? {}) as K[]
  return Object.fromEntries(keys.map((key) => [key, median(objects.map((object) => object[key]))])) as Record<K, number>
}
