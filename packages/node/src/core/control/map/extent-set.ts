import { type ExtentId, extentId, extentIndexOf, type VolumeId, volumeOf } from '@ashlar/proto'

/** Bits of one word: small enough that the engine keeps it as a plain integer. */
const WORD_BITS = 30

/**
 * A set of extents that iterates in ascending order, so that no decision depends on the order of insertion. One bit for
 * each extent, since a store may hold tens of thousands and one command may move all of them.
 */
export class ExtentSet {
  private readonly volumes = new Map<VolumeId, { readonly words: number[]; size: number }>()
  private count = 0

  get size(): number {
    return this.count
  }

  add(extent: ExtentId): void {
    const volume = volumeOf(extent)
    let of = this.volumes.get(volume)
    if (of === undefined) {
      of = { words: [], size: 0 }
      this.volumes.set(volume, of)
    }
    const index = extentIndexOf(extent)
    const at = Math.floor(index / WORD_BITS)
    while (of.words.length <= at) of.words.push(0)
    const word = of.words[at] ?? 0
    const bit = 1 << (index % WORD_BITS)
    if ((word & bit) !== 0) return
    of.words[at] = word | bit
    of.size++
    this.count++
  }

  delete(extent: ExtentId): void {
    const volume = volumeOf(extent)
    const of = this.volumes.get(volume)
    const index = extentIndexOf(extent)
    const at = Math.floor(index / WORD_BITS)
    const word = of?.words[at] ?? 0
    const bit = 1 << (index % WORD_BITS)
    if (of === undefined || (word & bit) === 0) return
    of.words[at] = word & ~bit
    this.count--
    if (--of.size === 0) this.volumes.delete(volume)
  }

  /** A copy of all elements. */
  ascending(): ExtentId[] {
    const extents: ExtentId[] = []
    for (const volume of [...this.volumes.keys()].sort((a, b) => a - b)) {
      const words = this.volumes.get(volume)?.words ?? []
      for (const [at, bits] of words.entries())
        for (let left = bits; left !== 0; left &= left - 1)
          extents.push(extentId(volume, at * WORD_BITS + 31 - Math.clz32(left & -left)))
    }
    return extents
  }
}
