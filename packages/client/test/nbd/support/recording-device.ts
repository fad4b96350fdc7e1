import type { BlockDevice } from '@ashlar/client/nbd'

/** A change of the device as the server asked for it. `began` and `ended` count everything that was recorded. */
export interface RecordedChange {
  readonly offset: number
  readonly length: number
  /** What was written; absent for zeroes, a trim among them. */
  readonly bytes?: Uint8Array
  readonly fua: boolean
  readonly began: number
  /** Absent while it is being carried out, and when it failed. */
  ended?: number
}

export interface RecordedFlush {
  readonly began: number
  ended?: number
}

/**
 * Wraps a device and keeps the whole stream of changes and flushes, so that the disk can be rebuilt as a power cut at
 * any moment might have left it: a device may lose, wholly and each by itself, changes that no flush covers.
 */
export class Recording {
  readonly changes: RecordedChange[] = []
  readonly flushes: RecordedFlush[] = []
  #clock = 0

  /** The same device, recorded. A trim counts as zeroes of its whole range: the device must carry it out so. */
  around(device: BlockDevice): BlockDevice {
    const change = async (given: Omit<RecordedChange, 'began' | 'ended'>, run: () => Promise<void>): Promise<void> => {
      const recorded: RecordedChange = { ...given, began: ++this.#clock }
      this.changes.push(recorded)
      await run()
      recorded.ended = ++this.#clock
    }
    return {
      sizeBytes: device.sizeBytes,
      blockSizeBytes: device.blockSizeBytes,
      readOnly: device.readOnly,
      fastZero: device.fastZero,
      read: (offset, length, options) => device.read(offset, length, options),
      write: (offset, bytes, options) =>
        // The server gives the memory up when the call ends: what is kept is a copy.
        change({ offset, length: bytes.length, bytes: Uint8Array.from(bytes), fua: options?.fua === true }, () =>
          device.write(offset, bytes, options),
        ),
      trim: (offset, length, options) =>
        change({ offset, length, fua: options?.fua === true }, () => device.writeZeroes(offset, length, options)),
      writeZeroes: (offset, length, options) =>
        change({ offset, length, fua: options?.fua === true }, () => device.writeZeroes(offset, length, options)),
      flush: async (options) => {
        const flush: RecordedFlush = { began: ++this.#clock }
        this.flushes.push(flush)
        await device.flush(options)
        flush.ended = ++this.#clock
      },
      allocation: (offset, length, options) => device.allocation(offset, length, options),
      close: () => device.close(),
    }
  }

  /** The moment after everything that was recorded so far. */
  get now(): number {
    return this.#clock + 1
  }

  /** Changes that began before the moment: those that must be on the disk then, and those that may be. */
  at(moment: number): { readonly certain: RecordedChange[]; readonly possible: RecordedChange[] } {
    const covered = Math.max(
      0,
      ...this.flushes.filter(({ ended }) => ended !== undefined && ended < moment).map(({ began }) => began),
    )
    const begun = this.changes.filter(({ began }) => began < moment)
    const isCertain = ({ ended, fua }: RecordedChange): boolean =>
      ended !== undefined && (ended < covered || (fua && ended < moment))
    return { certain: begun.filter(isCertain), possible: begun.filter((change) => !isCertain(change)) }
  }
}

/** Applies changes to an image of the disk, in the order in which they began. */
export function applyChanges(image: Buffer, changes: readonly RecordedChange[]): void {
  for (const { offset, length, bytes } of [...changes].sort((a, b) => a.began - b.began)) {
    if (bytes === undefined) image.fill(0, offset, offset + length)
    else image.set(bytes, offset)
  }
}
