import { crc32 } from 'node:zlib'
import type { ClientCall, ClientOutcome, VolumeHandle } from '@ashlar/client/core'
import { LIMITS, type SessionId, type VolumeId } from '@ashlar/proto'
import { BLOCK_BYTES } from '../options.ts'
import type { Chance } from '../world/chance.ts'
import type { ClientHost } from '../world/client-host.ts'
import type { Clock } from '../world/time.ts'
import { stamped } from './stamps.ts'

export const SESSIONS_VOLUME = 'sessions'
const BLOCKS = 8

interface ChurnWorld {
  readonly clock: Clock
  readonly chance: Chance
  readonly replicas: number
  readonly minInSync: number
  nextValue(): number
  /** A session that attached by a build that sends no keep-alive: if it died, only an operator ends it. */
  unheard(): { readonly volume: VolumeId; readonly session: SessionId } | undefined
}

/**
 * A program that is started again and again: it shares a volume, writes a block, and closes the volume or is killed.
 * Each time it is a session more, and of those that are killed control hears nothing.
 */
export class SessionChurner {
  private readonly host: ClientHost
  private readonly world: ChurnWorld
  private quiet = false
  private made = false
  /** Sessions that wrote. */
  sessions = 0
  /** No call is in flight. */
  idle = true

  constructor(host: ClientHost, world: ChurnWorld) {
    this.host = host
    this.world = world
  }

  start(): void {
    if (this.quiet) return
    this.idle = false
    if (!this.made) return this.create(() => this.again())
    this.open((volume) =>
      this.write(volume, () => {
        if (!this.world.chance.happens(0.5)) return this.call({ do: 'close', volume }, () => this.again())
        this.host.crashAndRestart()
        this.again()
      }),
    )
  }

  stop(): void {
    this.quiet = true
  }

  /**
   * One session more, now that everything works, as often as it takes. `then` is called once it wrote and closed the
   * volume.
   */
  prove(then: () => void): void {
    if (!this.made) return then()
    const again = (): void => this.prove(then)
    const unheard = this.world.unheard()
    if (unheard !== undefined) {
      const command = { do: 'detach', ...unheard, fence: true } as never
      return this.call({ do: 'admin', command }, () => this.world.clock.after(20, again))
    }
    this.call({ do: 'open', name: SESSIONS_VOLUME, mode: 'shared', policy: 'take' }, (opened) => {
      if (!opened.ok || opened.result.kind !== 'opened') return void this.world.clock.after(500, again)
      const volume = opened.result.handle
      this.write(volume, (written) => this.call({ do: 'close', volume }, written.ok ? then : again))
    })
  }

  private create(then: () => void): void {
    const { replicas, minInSync } = this.world
    const sizes = {
      sizeBytes: BLOCKS * BLOCK_BYTES,
      blockSizeBytes: BLOCK_BYTES,
      extentSizeBytes: LIMITS.minExtentBytes,
    }
    const command = { do: 'create-volume', name: SESSIONS_VOLUME, ...sizes, replicas, minInSync } as const
    this.call({ do: 'admin', command }, (outcome) => {
      this.made = outcome.ok || outcome.failure.code === 'EXISTS'
      then()
    })
  }

  private open(then: (volume: VolumeHandle) => void): void {
    this.call({ do: 'open', name: SESSIONS_VOLUME, mode: 'shared', policy: 'take' }, (opened) => {
      if (opened.ok && opened.result.kind === 'opened') then(opened.result.handle)
      else this.again()
    })
  }

  private write(volume: VolumeHandle, then: (outcome: ClientOutcome) => void): void {
    const bytes = stamped(this.world.nextValue(), BLOCK_BYTES)
    const offset = (++this.sessions % BLOCKS) * BLOCK_BYTES
    this.call({ do: 'write', volume, offset, bytes, checksums: [crc32(bytes)] }, then)
  }

  private again(): void {
    this.idle = true
    this.world.clock.after(this.world.chance.between(10, 150), () => this.start())
  }

  /** A call of the running process; one that was killed gets no outcome. */
  private call(call: ClientCall, then: (outcome: ClientOutcome) => void): void {
    this.host.process.call(call, then)
  }
}
