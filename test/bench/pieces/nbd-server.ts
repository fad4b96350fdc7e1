import { setTimeout as delay } from 'node:timers/promises'
import { deviceExports, MemoryDevice, serveNbd } from '@ashlar/client/nbd'
import type { Piece, PieceSettings } from './piece.ts'

/** The NBD server over a device in memory: what the gateway costs without a cluster behind it. */
export async function nbdServer({ sizeBytes = 0 }: PieceSettings): Promise<Piece> {
  const device = new MemoryDevice({ sizeBytes })
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
