import type { Context } from '../machine.ts'

/**
 * This node's map is newer than control's, whose log was rolled back (A2.20-4). The node would ignore changes up to its
 * own revision, so the process ends, and the next incarnation gets the map from the start.
 */
export function endAhead(ctx: Context, known: number, revision: number): void {
  ctx.event('error', 'map-ahead-of-control', { known, revision })
  ctx.emit({
    type: 'fatal',
    kind: 'map-ahead',
    reason: `control's log went back to revision ${revision} of the map, and this node knows revision ${known}: start it again`,
  })
}
