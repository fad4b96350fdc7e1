import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openStore } from '../../src/storage/index.ts'
import { Writer } from './children/run-writer.ts'
import { assertWritten, StoreRunner } from './store-kit.ts'

const made: string[] = []
after(async () => {
  for (const path of made) await rm(path, { recursive: true, force: true })
})

test('every acknowledged write survives repeated kills of a writing process', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-kill-'))
  made.push(directory)
  let last = 0
  for (let round = 0; round < 3; round++) {
    // With 64 KiB the engine rotates its log every few writes, with 4 MiB it replays all of them.
    const writer = Writer.run([directory, round % 2 === 0 ? '64' : '4096', String(last + 1)])
    const goal = last + 25 + round * 17
    await writer.until(({ acked }) => acked >= goal)
    await writer.kill()
    const runner = new StoreRunner()
    runner.use(await openStore({ directory, ballastBytes: 0 }, runner.complete))
    last = await assertWritten(runner, writer.acked, `round ${round}`)
    await runner.store.close()
  }
})
