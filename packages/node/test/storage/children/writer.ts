/**
 * A process that writes to a store until it is killed, or for a number of writes. Arguments: data directory, write buffer
 * in KiB, first seq, number of writes (0: no end), writes at once. Prints `opened TRUST COUNTER LASTSEQ`, then `acked SEQ`
 * for each write once it is on stable storage, with one system call each, so that a tracer sees the order; `failed REASON` when
 * the store failed; `closed` at the end.
 */
import { writeSync } from 'node:fs'
import { KIB } from '@ashlar/proto'
import { openStore } from '../../../src/storage/index.ts'
import { blocksOfWrite, EXTENT, operation, StoreRunner } from '../store-kit.ts'

const [directory = '', bufferKiB = '64', first = '1', count = '0', atOnce = '3'] = process.argv.slice(2)
const runner = new StoreRunner()
runner.use(
  await openStore(
    {
      directory,
      ballastBytes: 0,
      engine: { writeBufferBytes: Number(bufferKiB) * KIB, maxFileBytes: 1024 * KIB },
      tuning: { checkpointBatches: 7, leafCapacity: 2 / 8 },
    },
    runner.complete,
  ),
)
const { store } = runner
const [replica] = store.replicas
writeSync(1, `opened ${store.identity.trust} ${store.identity.incarnation.counter} ${replica?.head.lastSeq ?? 0}\n`)
if (!store.replicas.some(({ extent }) => extent === EXTENT)) runner.create()

void runner.failed().then((reason) => {
  writeSync(1, `failed ${reason}\n`)
  process.exit(3)
})

let next = Number(first)
const end = Number(count) === 0 ? Number.POSITIVE_INFINITY : next + Number(count)
async function writeOn(): Promise<void> {
  while (next < end) {
    const seq = next++
    await runner.write(seq, blocksOfWrite(seq), { operation: operation(5, seq, seq, Math.max(0, seq - 8)) })
    writeSync(1, `acked ${seq}\n`)
  }
}
await Promise.all(Array.from({ length: Number(atOnce) }, writeOn))
await store.close()
writeSync(1, 'closed\n')
