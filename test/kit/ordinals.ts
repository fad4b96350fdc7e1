/** Numbers things in the order in which they are first asked for, so that what they are called does not matter. */
export class Ordinals<Thing> {
  private readonly ordinals = new Map<Thing, number>()

  of(thing: Thing): number {
    const known = this.ordinals.get(thing)
    if (known !== undefined) return known
    this.ordinals.set(thing, this.ordinals.size)
    return this.ordinals.size - 1
  }
}
