/**
 * A process that writes the requests of LIFE to a control log, one after the other, until it is killed. Argument: the
 * directory. Prints `opened`, and `acked N` once the first N requests are on stable storage.
 */
import { writeSync } from 'node:fs'
import { openControlLog } from '../../../src/storage/control-log/index.ts'
import { LIFE } from '../raft-log-kit.ts'

const log = await openControlLog(process.argv[2] ?? '', { segmentBytes: 200 })
writeSync(1, 'opened\n')
for (const [place, request] of LIFE.entries()) {
  await log.persist(request)
  writeSync(1, `acked ${place + 1}\n`)
}
await log.close()
