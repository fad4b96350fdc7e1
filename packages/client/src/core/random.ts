/**
 * sfc32 of Chris Doty-Humphrey (PractRand): small, fast, and the same everywhere. It gives session ids and choices
 * between equal nodes, never secrets.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** `seed`: a safe integer from 0; all its 53 bits count. */
  constructor(seed: number) {
    this.#a = 0x9e3779b9 | 0
    this.#b = seed | 0
    this.#c = Math.floor(seed / 2 ** 32) | 0
    // The state is far from random at first when the seed is small; the author of sfc32 discards 12 numbers or more.
    for (let round = 0; round < 16; round++) this.next32()
  }

  /** A whole number from 0 to 2^32 - 1. */
  next32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A number from 0 (included) to 1 (excluded). */
  fraction(): number {
    return this.next32() / 2 ** 32
  }
}
