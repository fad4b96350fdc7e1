import type { VolumeId, VolumeRecord } from '@ashlar/proto'
import { extentCount, extentId, invariant, LIMITS, MAX_VOLUME_ID, newVolumeProblem } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import { type MapState, putExtentRecord } from '../map/index.ts'
import { type CommandResult, done, refused, type Steps } from './command-result.ts'
import { firstEpoch } from './epochs.ts'
import { Placement, placeable } from './placement.ts'

type CreateVolume = Extract<Command, { do: 'create-volume' }>
type RemoveVolume = Extract<Command, { do: 'remove-volume' }>

/** Creates a volume: assigns stores and a first primary to every extent; all are in sync, since nothing is written. */
export function* applyCreateVolume(state: MapState, command: CreateVolume): Steps<CommandResult> {
  const refusal = refuseCreate(state, command)
  if (refusal !== undefined) return refusal
  const nodes = placeable(state, command)
  if (nodes.length < command.replicas) return refuseTooFew(state, command, nodes.length)

  const volume: VolumeRecord = state.putVolume({
    id: (state.lastVolume + 1) as VolumeId,
    name: command.name,
    sizeBytes: command.sizeBytes,
    blockSizeBytes: command.blockSizeBytes,
    extentSizeBytes: command.extentSizeBytes,
    replicas: command.replicas,
    minInSync: command.minInSync,
    generation: 0,
    holders: [],
  })
  const placement = new Placement(state, nodes, command.replicas)
  for (let index = 0; index < extentCount(volume); index++) {
    const id = extentId(volume.id, index)
    const place = placement.place(id)
    const primary = state.nodes.get(place.primary)
    invariant(primary !== undefined, 'an extent was placed on a store that does not exist')
    putExtentRecord(state, {
      id,
      epoch: firstEpoch(state),
      primary: { store: primary.store, counter: primary.incarnation.counter },
      inSync: place.assigned,
      eligible: [],
      assigned: place.assigned,
    })
    yield
  }
  return done({ volume })
}

function refuseTooFew(state: MapState, { replicas, filling = [] }: CreateVolume, there: number): CommandResult {
  const needed = `${replicas} replicas need ${replicas} nodes that are up`
  if (filling.length === 0)
    return refused('TOO_FEW_NODES', `${needed}, and there are ${there}`, 'start more nodes, or ask for fewer replicas')
  const names = filling.map((store) => state.nodes.get(store)?.name ?? store).join(', ')
  return refused(
    'NO_SPACE',
    `${needed} with space for new extents, and there are ${there}: the disks of ${names} are too full`,
    'see `ashlar node ls`; trim or remove volumes, enlarge those disks, start more nodes, or ask for fewer replicas',
  )
}

function refuseCreate(state: MapState, command: CreateVolume): CommandResult | undefined {
  const problem = newVolumeProblem(command)
  if (problem !== undefined) return refused('USAGE', problem)
  if (state.volumeNamed(command.name) !== undefined)
    return refused('EXISTS', `volume ${command.name} exists`, 'choose another name, or remove that volume first')
  if (state.volumes.size >= LIMITS.volumes || state.lastVolume >= MAX_VOLUME_ID)
    return refused('CONFLICT', `the cluster has ${LIMITS.volumes} volumes, which is as many as it can have`)
  if (state.extents.size + extentCount(command) > LIMITS.mapExtents)
    return refused(
      'CONFLICT',
      `the volume needs ${extentCount(command)} extents, and the cluster can have ${LIMITS.mapExtents - state.extents.size} more`,
      'use larger extents, or remove volumes that are not needed',
    )
  return undefined
}

/** Removes a volume without holders. Its tombstone makes every store delete its replicas. */
export function applyRemoveVolume(state: MapState, command: RemoveVolume): CommandResult {
  const volume = state.volumeNamed(command.name)
  if (volume === undefined) return refused('NOT_FOUND', `there is no volume ${command.name}`)
  const [holder] = volume.holders
  if (holder !== undefined)
    return refused(
      'CONFLICT',
      `volume ${volume.name} is attached by ${holder.client}`,
      'close it there first; if that client is gone, attach the volume elsewhere and close it',
    )
  const extents = Array.from({ length: extentCount(volume) }, (_, index) => extentId(volume.id, index))
  state.removeVolume(volume, extents)
  return done()
}
