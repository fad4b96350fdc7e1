import { crc32 } from 'node:zlib'
import type { BlockChange, ReplicaChange } from '@ashlar/node/core'
import { BLOCK_ABSENT, BLOCK_DATA, type BlockVersion, type ExtentId } from '@ashlar/proto'
import type { NodeProcess } from '../world/node-host.ts'
import type { Report } from './report.ts'

/**
 * Equal versions, equal bytes, on all stores and at all times (A3-6); and what a store has promised, led or
 * known to be committed only rises (A3-2 and A3-16).
 */
export class Versions {
  private readonly contents = new Map<string, number>()
  private readonly report: Report

  constructor(report: Report) {
    this.report = report
  }

  /** A store is asked to commit a change. */
  changed(node: NodeProcess, change: ReplicaChange): void {
    for (const block of change.blocks) this.checkContent(change.extent, block)
    const before = node.store.head(change.extent)
    const { head } = change
    const name = `${node.host}, extent ${change.extent}`
    if (before === undefined) return
    if (head.promised !== undefined && head.promised < before.promised) this.wentBack(name, 'promised')
    if (head.led !== undefined && head.led < before.led) this.wentBack(name, 'led')
    if (head.commitSeq !== undefined && head.commitSeq < before.commitSeq) this.wentBack(name, 'commitSeq')
    if (head.generation !== undefined && head.generation < before.generation) this.wentBack(name, 'generation')
    // A MARK carries windows, and may name an epoch before the promise: what the new primary had last.
    const writes = head.lastEpoch !== undefined && change.windows === undefined
    if (writes && (head.lastEpoch ?? 0) < Math.max(before.promised, head.promised ?? 0)) {
      this.report.violation('fence', `${name} applied a write of epoch ${head.lastEpoch}, below its promise`)
    }
  }

  private checkContent(extent: ExtentId, { block, version, bytes }: BlockChange): void {
    if (version.kind === BLOCK_ABSENT) return
    const key = `${extent}:${block}:${version.epoch}:${version.seq}`
    const content = contentOf(version)
    const known = this.contents.get(key)
    if (known === content) return
    if (known !== undefined) {
      return this.report.violation('equal-versions', `two contents of block ${key} (extent:block:epoch:seq)`)
    }
    this.contents.set(key, content)
    if (version.kind === BLOCK_DATA && (bytes === undefined || crc32(bytes) !== version.checksum)) {
      this.report.violation(
        'checksum',
        `the bytes of block ${key} (extent:block:epoch:seq) do not match their checksum`,
      )
    }
  }

  private wentBack(name: string, field: string): void {
    this.report.violation('only-rises', `${name}: ${field} went back`)
  }
}

function contentOf(version: BlockVersion): number {
  return version.kind * 2 ** 32 + version.checksum
}
