import { setTimeout as delay } from 'node:timers/promises'
import { deviceExports, MemoryDevice, serveNbd } from '@ashlar/client/nbd'
import { MIB } from '@ashlar/proto'
import type { Piece, PieceSettings } from './piece.ts'

/** The NBD server over a device in memory: what the gateway costs without a cluster behind it. */
export async function nbdServer({ sizeBytes = 0 }: PieceSettings): Promise<Piece> {
  const device = new MemoryDevice({ sizeBytes })
  // Memory is taken at the first write of each MiB, which is not what is to be measured.
  for (let offset = 0; offset < sizeBytes; offset += MIB) await device.write(offset, new Uint8Array(MIB).fill(1))
  const server = await serveNbd(deviceExports([{ name: 'memory', device }]), { listen: '127.0.0.1:0' })
  const [bound] = server.addresses
  return {
    ...(bound === undefined ? {} : { address: bound.uri }),
    async run(untilMs) {
      await delay(untilMs - performance.now())
      return 0
    },
    async close() {
      await server.close()
      await device.close()
    },
  }
}
