import { type Bytes, type ExtentId, invariant } from '@ashlar/proto'

/** A byte range of one extent that an operation has, or waits for. */
export interface RangeClaim<Owner> {
  readonly owner: Owner
  readonly extent: ExtentId
  readonly start: Bytes
  /** First byte after the range. */
  readonly end: Bytes
  /** Earlier overlapping claims that are not released yet; the claim holds its range when there are none. */
  blockers: number
}

/**
 * Locks of the byte ranges of unresolved writes (amendment 13): a later write that overlaps waits until the earlier one
 * is resolved, in the order of the claims, so that two writes of one client never overtake each other and an
 * indeterminate one can never land on top of its successor. Reads take no lock.
 */
export class RangeLocks<Owner> {
  /** Claims of each extent in the order in which they were made. */
  readonly #claims: Map<ExtentId, Set<RangeClaim<Owner>>> = new Map()

  /** Claims a range. It is held at once when `blockers` is 0, else once `release` returns this claim. */
  claim(owner: Owner, extent: ExtentId, start: Bytes, end: Bytes): RangeClaim<Owner> {
    let claims = this.#claims.get(extent)
    if (claims === undefined) {
      claims = new Set()
      this.#claims.set(extent, claims)
    }
    const claim: RangeClaim<Owner> = { owner, extent, start, end, blockers: 0 }
    for (const earlier of claims) if (overlap(earlier, claim)) claim.blockers++
    claims.add(claim)
    return claim
  }

  /** Releases a claim, held or not, and returns the claims that hold their range from now on, in order. */
  release(claim: RangeClaim<Owner>): RangeClaim<Owner>[] {
    const claims = this.#claims.get(claim.extent) ?? new Set()
    invariant(claims.has(claim), 'a range is released that was never claimed, or twice')
    const granted: RangeClaim<Owner>[] = []
    let later = false
    for (const other of claims) {
      if (other === claim) later = true
      else if (later && overlap(claim, other) && --other.blockers === 0) granted.push(other)
    }
    claims.delete(claim)
    if (claims.size === 0) this.#claims.delete(claim.extent)
    return granted
  }

  get isEmpty(): boolean {
    return this.#claims.size === 0
  }
}

function overlap(a: RangeClaim<unknown>, b: RangeClaim<unknown>): boolean {
  return a.start < b.end && b.start < a.end
}
