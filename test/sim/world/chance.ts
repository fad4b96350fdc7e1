import { crc32 } from 'node:zlib'
import { Prng } from '@ashlar/node/core'

/** A seeded source of chance with the questions that a simulation asks. Two sources with one seed give the same answers. */
export class Chance {
  private readonly generator: Prng

  constructor(seed: number) {
    this.generator = new Prng(seed)
  }

  /** From 0 (included) to 1 (excluded). */
  next(): number {
    return this.generator.next()
  }

  happens(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from)
  }

  /** A whole number, both ends included. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1))
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('nothing to pick from: the list is empty')
    return list[Math.floor(this.next() * list.length)] as T
  }

  /** Each member once. A draw is made when its member is asked for. */
  *inAnyOrder<T>(list: readonly T[]): Generator<T> {
    const left = [...list]
    while (left.length > 0) yield* left.splice(this.integer(0, left.length - 1), 1)
  }

  /** Each member with this probability, in order. */
  subset<T>(list: readonly T[], probability: number): T[] {
    return list.filter(() => this.happens(probability))
  }

  /** Small values are common, values near `longest` rare: how delays of real networks and disks are spread. */
  skewed(shortest: number, longest: number): number {
    const x = this.next()
    return shortest + (longest - shortest) * x * x * x
  }

  /** An independent source: what one part of the world draws does not shift the draws of another. */
  fork(): Chance {
    return new Chance(this.seed())
  }

  /** A number from 0 to 2^32 - 1. */
  seed(): number {
    return Math.floor(this.next() * 4294967296)
  }
}

/** Whether an option, a fault or a phase of this name is on in a seed, and what an option is drawn as. */
export function shareOf(seed: number, name: string): Chance {
  return new Chance(seed ^ crc32(name))
}

/**
 * What happens in a phase of this name. It is another source than `shareOf`: in seeds that have the phase the first
 * draw of that one is known to be small, and what is drawn first would always come out the same.
 */
export function courseOf(seed: number, name: string): Chance {
  return new Chance(seed ^ crc32(`${name}: its course`))
}
