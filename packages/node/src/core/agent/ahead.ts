import type { Context } from '../machine.ts'

/**
 * The map that this node follows is newer than control's, whose log has gone back (A2.20-4). What the node knows beyond it
 * would never be put right, since changes up to that revision are old news to it: this life ends, and the next one learns the map
 * from its beginning.
 */
export function endAhead(ctx: Context, known: number, revision: number): void {
  ctx.event('error', 'map-ahead-of-control', { known, revision })
  ctx.emit({
    type: 'fatal',
    reason: `control's log went back to revision ${revision} of the map, and this node knows revision ${known}: start it again`,
  })
}
