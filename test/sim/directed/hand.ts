import { crc32 } from 'node:zlib'
import type { ClientOutcome } from '@ashlar/client/core'
import type { AttachPolicy, SessionId, VolumeId } from '@ashlar/proto'
import { BLOCK_BYTES } from '../options.ts'
import { VOLUME_NAME } from '../workload/client-driver.ts'
import { stamped, valuesOf } from '../workload/stamps.ts'
import type { ClientHost } from '../world/client-host.ts'
import type { Stage } from './stage.ts'

/** A call that is in flight, or its outcome. */
export interface Handed {
  outcome: ClientOutcome | undefined
}

/**
 * One client whose calls a schedule makes itself, call by call, instead of the driver's random ones. Values are numbers
 * that no other write of the schedule has; each covers one block.
 */
export class Hand {
  private readonly stage: Stage
  private readonly host: ClientHost
  private handle = 0

  /** `index`: which of the clients. With a mode the volume is opened when this returns. */
  constructor(stage: Stage, index: number, mode?: 'exclusive' | 'shared' | 'read-only') {
    this.stage = stage
    this.host = stage.world.clients[index] as ClientHost
    if (mode !== undefined) this.opened(this.call({ do: 'open', name: VOLUME_NAME, mode, policy: 'take' }))
  }

  /** Sends an exclusive open with a policy, and does not wait for its end. */
  ask(policy: AttachPolicy): Handed {
    return this.call({ do: 'open', name: VOLUME_NAME, mode: 'exclusive', policy })
  }

  /** Waits for the end of an open: its code. */
  opened(handed: Handed): string | undefined {
    const outcome = this.done(handed)
    if (outcome?.ok === true) this.handle = (outcome.result as { handle: number }).handle
    return outcome?.ok === false ? outcome.failure.code : outcome && 'OK'
  }

  open(policy: AttachPolicy): string | undefined {
    return this.opened(this.ask(policy))
  }

  /** The program is killed and started again, and nothing of that reaches the cluster. */
  restart(): void {
    this.host.crashAndRestart()
  }

  get name(): string {
    return this.host.name
  }

  /** An operator ends a session, by way of this client: waits until it is answered. */
  fence(volume: VolumeId, session: SessionId): boolean {
    const command = { do: 'detach', volume, session, fence: true } as const
    return this.done(this.call({ do: 'admin', command: command as never }))?.ok === true
  }

  /** Sends a write of whole blocks from `block` on, and does not wait for its end. */
  send(block: number, value: number, blocks = 1): Handed {
    const bytes = stamped(value, blocks * BLOCK_BYTES)
    const checksums = Array.from({ length: blocks }, (_, at) =>
      crc32(bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES)),
    )
    return this.call({ do: 'write', volume: this.handle, offset: block * BLOCK_BYTES, bytes, checksums })
  }

  /** Writes, and waits for the end: true when the write was acknowledged. */
  write(block: number, value: number): boolean {
    return this.done(this.send(block, value))?.ok === true
  }

  /** The value that a block has now, or the code of the failure. */
  read(block: number): number | string | undefined {
    const offset = block * BLOCK_BYTES
    const outcome = this.done(this.call({ do: 'read', volume: this.handle, offset, length: BLOCK_BYTES }))
    if (outcome === undefined) return undefined
    return outcome.ok ? valuesOf((outcome.result as { bytes: Uint8Array }).bytes)[0] : outcome.failure.code
  }

  /** Waits for the end of a call; undefined when a rule was broken before it came. */
  done(handed: Handed): ClientOutcome | undefined {
    this.stage.until(`the end of a call of ${this.name}`, () => handed.outcome !== undefined)
    return handed.outcome
  }

  private call(call: Parameters<ClientHost['process']['call']>[0]): Handed {
    const handed: Handed = { outcome: undefined }
    this.host.process.call(call, (outcome) => {
      handed.outcome = outcome
    })
    return handed
  }
}
