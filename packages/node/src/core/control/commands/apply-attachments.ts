import type { AttachMode, Holder, SessionId, VolumeRecord } from '@ashlar/proto'
import { FEATURES, holderText, LIMITS } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { type CommandResult, done, refused } from './command-result.ts'

type Attach = Extract<Command, { do: 'attach' }>
type Detach = Extract<Command, { do: 'detach' }>

/**
 * Ended sessions of a volume that the map remembers, so that a late duplicate of their attach neither fences a session
 * nor revives one whose operations the stores have forgotten (amendment 31). One command may end many sessions.
 */
const PAST_SESSIONS = { before: 64, since: 256 }

function endsSessions({ featureLevel }: MapState): boolean {
  return featureLevel >= FEATURES.endedSessions
}

/**
 * Gives a session the right to write (A2.11-1, A2.11-2). Exclusive raises the generation, which fences the present
 * holders; shared joins a shared generation; read-only changes nothing. A repetition of the same session has the same
 * result.
 */
export function applyAttach(state: MapState, command: Attach): CommandResult {
  const { holder } = command
  const volume = state.volumeNamed(command.name)
  if (volume === undefined) return refused('NOT_FOUND', `there is no volume ${command.name}`)
  if (holder.mode === 'read-only') return done({ volume })
  if (volume.holders.some((held) => held.session === holder.session)) return done({ volume })
  if (state.pastSessions.get(volume.id)?.includes(holder.session))
    return refused('FENCED', `this session's attachment of volume ${volume.name} is over`, 'open the volume again')

  if (joinsSharers(volume, holder.mode)) return join(state, volume, holder)
  const refusal = refusalOf(volume, command)
  if (refusal !== undefined) return refusal
  remember(state, volume, volume.holders)
  return done({ volume: state.putVolume({ ...volume, generation: volume.generation + 1, holders: [holder] }) })
}

/** An attach in this mode ends no session: it joins those that share the volume. */
export function joinsSharers({ holders }: VolumeRecord, mode: AttachMode): boolean {
  return mode === 'shared' && holders.length > 0 && holders.every(isShared)
}

/** Undefined: the sessions that hold the volume now may be ended. */
function refusalOf(volume: VolumeRecord, { ifFree, replaces, resumes }: Attach): CommandResult | undefined {
  const other = volume.holders.find(({ session }) => replaces?.includes(session) !== true)
  if (resumes === true && (other !== undefined || volume.holders.length === 0)) return notResumed(volume)
  const keeps = replaces !== undefined || ifFree
  return keeps && other !== undefined ? attachedBy(volume, other) : undefined
}

/** The refusal of an attach that would end the session of this holder. `heard`: what control knows of it besides. */
export function attachedBy(volume: VolumeRecord, holder: Holder, heard = ''): CommandResult {
  return refused(
    'ATTACHED',
    `volume ${volume.name} is attached by ${holderText(holder)}${heard}`,
    "to take it over, which ends that session: --take-over of a gateway, --force of an import, takeOver: 'take' in a program",
  )
}

/** The refusal of an attach that resumes what its owner does not hold. */
export function notResumed(volume: VolumeRecord): CommandResult {
  const [held] = volume.holders
  const now = held === undefined ? 'no session holds it' : `it is attached by ${holderText(held)}`
  return refused(
    'FENCED',
    `volume ${volume.name} is no longer attached by this owner: ${now}`,
    'open it with another policy',
  )
}

function join(state: MapState, volume: VolumeRecord, holder: Holder): CommandResult {
  if (volume.holders.length >= LIMITS.holders)
    return refused(
      'BUSY',
      `volume ${volume.name} is shared by ${LIMITS.holders} sessions, which is as many as may share it`,
    )
  if (endsSessions(state) && holdersOf(state) >= LIMITS.mapHolders)
    return refused(
      'BUSY',
      `${LIMITS.mapHolders} sessions hold volumes of this cluster: no more may share one`,
      'see the holders with `ashlar volume ls`',
    )
  return done({ volume: state.putVolume({ ...volume, holders: [...volume.holders, holder] }) })
}

function holdersOf(state: MapState): number {
  let holders = 0
  for (const volume of state.volumes.values()) holders += volume.holders.length
  return holders
}

/** Removes one session from the holders. Has no effect if it is not one of them. */
export function applyDetach(state: MapState, command: Detach): CommandResult {
  const volume = state.volumes.get(command.volume)
  if (volume === undefined) return refused('NOT_FOUND', `there is no volume with number ${command.volume}`)
  const gone = volume.holders.filter((held) => held.session === command.session)
  if (gone.length === 0) return done({ volume })
  remember(state, volume, gone)
  const holders = volume.holders.filter((held) => held.session !== command.session)
  return done({ volume: state.putVolume({ ...volume, holders }) })
}

function remember(state: MapState, volume: VolumeRecord, ended: readonly Holder[]): void {
  const past: SessionId[] = [...(state.pastSessions.get(volume.id) ?? []), ...ended.map((held) => held.session)]
  state.pastSessions.set(volume.id, past.slice(-(endsSessions(state) ? PAST_SESSIONS.since : PAST_SESSIONS.before)))
}

function isShared(holder: Holder): boolean {
  return holder.mode === 'shared'
}
