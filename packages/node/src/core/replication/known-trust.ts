import type { Seq, StoreId, Trust } from '@ashlar/proto'
import type { Link } from '../machine.ts'
import type { Services } from './services.ts'

type Known = Pick<Services, 'control' | 'links'>

/** Trust of the incarnation at the other end of a link; undefined until the map has that one. */
export function knownTrust({ control, links }: Known, store: StoreId, link: Link | undefined): Trust | undefined {
  const known = control.map.nodes.get(store)
  const counter = link === undefined ? undefined : links.counterOf(link)
  return known?.incarnation.counter === counter ? known?.trust : undefined
}

/**
 * Up to where the versions that a store lists prove that they were committed: nowhere where it is suspect, since a flipped
 * bit makes a version look newer (A2.17-8).
 */
export function provenUpTo(services: Known, store: StoreId, link: Link | undefined, commitSeq: Seq): Seq {
  return knownTrust(services, store, link) === 'suspect' ? (0 as Seq) : commitSeq
}
