import type { MapDelta } from '@ashlar/proto'
import { invariant } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import { cutDelta, type DeltaSource } from './deltas.ts'

/**
 * Links over which every change of a map is sent, with the revision last sent. The changes of one step share a message.
 */
export class MapWatchers {
  private readonly sent = new Map<Link, number>()
  /** Requests that arrived before there was a map. */
  private readonly unanswered = new Set<Link>()
  /** Revision that was sent to every watcher; undefined while that is unknown. Nearly every step finds it unchanged. */
  private allSent: number | undefined

  /** Responds to `get-map` at once, also when nothing changed; with `watch`, sends later changes too. */
  ask(ctx: Context, source: DeltaSource, link: Link, have: number, watch: boolean): void {
    this.allSent = undefined
    if (source.cluster === undefined) {
      this.unanswered.add(link)
      if (watch) this.sent.set(link, have)
      return
    }
    sendUpdate(ctx, link, have < source.revision ? cutDelta(source, have) : nothingNew(source, have))
    if (watch) this.sent.set(link, Math.max(have, source.revision))
  }

  /** The node at this link applied the map up to `have`: sends later changes unless it watches already. */
  watch(link: Link, have: number): void {
    if (this.sent.has(link)) return
    this.sent.set(link, have)
    this.allSent = undefined
  }

  forget(link: Link): void {
    this.sent.delete(link)
    this.unanswered.delete(link)
  }

  /** Sends each watcher the changes that it lacks. `recent`: deltas of this step, relayed unchanged. */
  push(ctx: Context, source: DeltaSource, recent: readonly MapDelta[] = []): void {
    if (source.cluster === undefined || source.revision === this.allSent) return
    const cut = new Map<number, MapDelta>()
    for (const [link, sent] of this.sent) {
      if (sent >= source.revision) continue
      this.unanswered.delete(link)
      const delta = cut.get(sent) ?? passedOn(source, sent, recent) ?? cutDelta(source, sent)
      cut.set(sent, delta)
      sendUpdate(ctx, link, delta)
      this.sent.set(link, source.revision)
    }
    for (const link of this.unanswered) sendUpdate(ctx, link, cutDelta(source, 0))
    this.unanswered.clear()
    this.allSent = source.revision
  }
}

/** A delta of this step that covers all of it, which saves a scan of the map. */
function passedOn(source: DeltaSource, sent: number, recent: readonly MapDelta[]): MapDelta | undefined {
  return recent.find((delta) => delta.from === sent && delta.to === source.revision)
}

function nothingNew(source: DeltaSource, have: number): MapDelta {
  const { cluster } = source
  invariant(cluster !== undefined, 'a delta was requested of a map without a cluster')
  return {
    cluster,
    clusterGeneration: source.clusterGeneration,
    from: have,
    to: source.revision,
    voters: source.voters,
    nodes: [],
    volumes: [],
    extents: [],
    removedVolumes: [],
    ...(source.gone.size === 0 ? {} : { gone: [...source.gone] }),
  }
}

function sendUpdate(ctx: Context, link: Link, delta: MapDelta): void {
  ctx.emit({ type: 'send', link, message: { type: 'map-update', delta } })
}
