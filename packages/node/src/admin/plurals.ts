import { counted, times } from '@ashlar/proto'

/** Numbers with their nouns, as sentences for people have them. */

export { counted, times }

/** Such as `1 of 3 voters responds`. */
export function share(part: number, all: number, noun: string, one: string, several: string): string {
  return `${part} of ${counted(all, noun)} ${part === 1 ? one : several}`
}

export function unique<T>(things: Iterable<T>): T[] {
  return [...new Set(things)]
}
