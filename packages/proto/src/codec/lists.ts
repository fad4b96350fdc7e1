import type { ByteReader } from './bytes.ts'

export function readList<T>(
  from: ByteReader,
  count: number,
  itemBytes: number,
  max: number,
  what: string,
  read: () => T,
): T[] {
  const items: T[] = []
  from.count(count, itemBytes, max, what)
  for (let i = 0; i < count; i++) items.push(read())
  return items
}

export function sum<T>(items: readonly T[], bytes: (item: T) => number): number {
  let total = 0
  for (const item of items) total += bytes(item)
  return total
}
