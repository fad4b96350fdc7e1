/** Numbers with their nouns, as sentences for people have them. */

export function counted(number: number, one: string, several = `${one}s`): string {
  return `${number} ${number === 1 ? one : several}`
}

/** Such as `1 of 3 voters responds`. */
export function share(part: number, all: number, noun: string, one: string, several: string): string {
  return `${part} of ${counted(all, noun)} ${part === 1 ? one : several}`
}

export function times(number: number): string {
  return number === 1 ? 'once' : `${number} times`
}

export function unique<T>(things: Iterable<T>): T[] {
  return [...new Set(things)]
}
