import { crc32 } from 'node:zlib'
import type { ClientCall, ClientOutcome, VolumeHandle } from '@ashlar/client/core'
import { BLOCK_BYTES } from '../options.ts'
import type { ClientHost } from '../world/client-host.ts'
import type { DriverWorld } from './client-driver.ts'
import { stamped, valuesOf } from './stamps.ts'

const EXTENT_BYTES = 4096 * BLOCK_BYTES
const BLOCKS = 4

/**
 * A program that makes a volume, writes to it, reads back what it wrote, and removes it, again and again: extents come
 * and go while frames of the ones before are still in flight. No other client knows its volumes.
 */
export class VolumeChurner {
  private readonly host: ClientHost
  private readonly world: DriverWorld
  private readonly minInSync: number
  private number = 0
  private quiet = false
  /** No volume is half made or half removed by a call that is in flight. */
  idle = true

  constructor(host: ClientHost, world: DriverWorld) {
    this.host = host
    this.world = world
    this.minInSync = world.options.minInSync
  }

  start(): void {
    if (this.quiet) return
    this.idle = false
    const name = `churn-${++this.number}`
    const command = {
      do: 'create-volume',
      name,
      sizeBytes: BLOCKS * BLOCK_BYTES,
      blockSizeBytes: BLOCK_BYTES,
      extentSizeBytes: EXTENT_BYTES,
      replicas: 3,
      minInSync: this.minInSync,
    } as const
    this.call({ do: 'admin', command }, (made) => (made.ok ? this.open(name) : this.again()))
  }

  stop(): void {
    this.quiet = true
  }

  private open(name: string): void {
    this.call({ do: 'open', name, mode: 'exclusive', policy: 'take' }, (opened) => {
      if (opened.ok && opened.result.kind === 'opened') this.write(name, opened.result.handle, BLOCKS)
      else this.again()
    })
  }

  private write(name: string, volume: VolumeHandle, left: number): void {
    if (left === 0) return this.close(name, volume)
    const bytes = stamped(this.world.nextValue(), BLOCK_BYTES)
    const offset = (left - 1) * BLOCK_BYTES
    this.call({ do: 'write', volume, offset, bytes, checksums: [crc32(bytes)] }, (written) => {
      if (!written.ok) return this.close(name, volume)
      this.call({ do: 'read', volume, offset, length: BLOCK_BYTES }, (read) => {
        if (
          read.ok &&
          read.result.kind === 'bytes' &&
          String(valuesOf(read.result.bytes)) !== String(valuesOf(bytes))
        ) {
          this.world.violation('read-your-write', `${name} at ${offset} has ${valuesOf(read.result.bytes)}`)
        }
        this.write(name, volume, left - 1)
      })
    })
  }

  private close(name: string, volume: VolumeHandle): void {
    this.call({ do: 'close', volume }, () => {
      this.call({ do: 'admin', command: { do: 'remove-volume', name } }, () => this.again())
    })
  }

  private again(): void {
    this.idle = true
    this.world.clock.after(this.world.chance.between(10, 1500), () => this.start())
  }

  private call(call: ClientCall, then: (outcome: ClientOutcome) => void): void {
    this.host.process.call(call, then)
  }
}
