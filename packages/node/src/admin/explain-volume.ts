import type { ExtentRecord, StoreId } from '@ashlar/proto'
import { describeHolder } from './holders.ts'
import type { NodeView } from './node-view.ts'
import { type FetchPeer, requestLocal } from './peers.ts'
import { counted, unique } from './plurals.ts'
import { type VolumeReport, volumeReport } from './reports.ts'
import type { ExplanationResponse, VolumeResponse } from './schemas.ts'
import { howToFreeSpace, lowOnSpace } from './space.ts'
import { mendDownNodes } from './why-down.ts'

export async function explainVolume(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<ExplanationResponse> {
  const [volume, locals] = await Promise.all([volumeReport(view, name, fetchPeer), requestLocal(view, fetchPeer)])
  const short = lowOnSpace(view, locals, storesOf(view, name))
  const { recovering, degraded, unavailable } = volume.extents
  const extents = extentsOf(view, name)
  const whole = extents.filter(({ assigned, inSync }) => assigned.every((store) => inSync.includes(store))).length
  const because = [`extents with all ${counted(volume.replicas, 'replica')} in sync: ${whole} of ${extents.length}`]
  if (recovering > 0)
    because.push(
      `${extentsThat(recovering, 'is', 'are')} recovering, with ${counted(volume.behindBlocks, 'block')} left to copy`,
    )
  if (degraded > 0) because.push(`${extentsThat(degraded, 'is', 'are')} degraded`)
  if (unavailable > 0) because.push(`${extentsThat(unavailable, 'cannot', 'cannot')} be read or written`)
  if (volume.holders.length === 0) because.push('no client has it open for writing')
  because.push(...volume.holders.map((holder) => `open by ${describeHolder(holder)}`))
  return {
    kind: 'volume',
    name,
    state: volume.state,
    problems: [...volume.causes.map(({ problem }) => problem), ...short],
    because,
    waitsFor: unique(volume.causes.flatMap((cause) => cause.waitsFor)),
    todo: [
      ...(volume.state === 'healthy'
        ? []
        : [`ashlar extent ls ${name}`, ...mendDownNodes(view, locals), ...blocked(volume), ...acknowledge(volume)]),
      ...howToFreeSpace(view, locals, storesOf(view, name)),
    ],
  }
}

function extentsOf(view: NodeView, name: string): readonly ExtentRecord[] {
  const volume = view.map.volumeNamed(name)
  return volume === undefined ? [] : view.map.extentsOf(volume.id)
}

function storesOf(view: NodeView, name: string): StoreId[] {
  return extentsOf(view, name).flatMap(({ assigned }) => assigned)
}

function extentsThat(number: number, one: string, several: string): string {
  return number === 1 ? `1 extent ${one}` : `${number} extents ${several}`
}

/** One of them: the others most often wait for the same. */
function blocked({ name, firstUnavailable }: VolumeReport): string[] {
  if (firstUnavailable === undefined) return []
  const extent = `${name}/${firstUnavailable}`
  return [`see what can be done for extent ${extent}: ashlar explain extent ${extent}`]
}

function acknowledge({ name, forced }: VolumeResponse): string[] {
  return forced.every(({ acknowledged }) => acknowledged) ? [] : [`ashlar volume acknowledge-loss ${name}`]
}
