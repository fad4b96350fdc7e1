/** A small seeded generator (mulberry32): the only source of chance inside the machines. */
export class Prng {
  private state: number

  /** `seed` is a number from 0 to 2^32 - 1. */
  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** From 0 (included) to 1 (excluded). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
