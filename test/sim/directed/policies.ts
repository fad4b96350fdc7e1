import { TIMERS } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import { Hand } from './hand.ts'
import { Stage } from './stage.ts'

const BLOCK = 5

/**
 * 1. A client writes. Another one looks at the volume, and is refused; the first one goes on.
 * 2. The first one dies, and is silent for long. Two others look at the same moment: one of them gets the volume.
 * 3. The first one is back: it resumes nothing, since its volume has another holder; then it takes it.
 * 4. It dies once more, and gets its own volume back at once.
 */
export function attachedByPolicy(): readonly Violation[] {
  const blocks = { sizeBytes: 64 * BLOCK_BYTES, hotBytes: 2 * BLOCK_BYTES }
  const stage = new Stage({ voters: 3, minInSync: 2, sharing: 'takeover', ...blocks })
  const { world } = stage
  const must = (what: string, seen: unknown, wanted: unknown): void => {
    if (seen !== wanted) world.checkers.violation('attach-policy', `${what}: ${seen}, and not ${wanted}`)
  }
  world.stopClients()
  // The second client of the workload opens the volume late, and leaves it alone then.
  stage.run(8000)
  const [first, second, third] = [0, 1, 2].map((index) => new Hand(stage, index)) as [Hand, Hand, Hand]
  must('the first open', first.open('take'), 'OK')
  stage.run(2 * TIMERS.holderHeardMs)
  must('a look at a holder that is heard of', second.open('silent'), 'ATTACHED')
  must('the holder writes on', first.write(BLOCK, 900), true)

  first.restart()
  stage.run(TIMERS.holderHeardMs + 5000)
  const looks = [second.ask('silent'), third.ask('silent')]
  const codes = [second.opened(looks[0] as never), third.opened(looks[1] as never)]
  must('two looks at a silent holder', [...codes].sort().join(), 'ATTACHED,OK')
  const holder = codes[0] === 'OK' ? second : third
  must('the one that got the volume writes', holder.write(BLOCK, 901), true)

  must('resuming what another holds', first.open('resume'), 'FENCED')
  must('a look at another owner', first.open('silent'), 'ATTACHED')
  must('taking it', first.open('take'), 'OK')
  must('the one that was fenced writes', holder.write(BLOCK, 902), false)
  first.restart()
  stage.run(500)
  must('its own volume', first.open('silent'), 'OK')
  first.restart()
  stage.run(500)
  must('resuming its own volume', first.open('resume'), 'OK')
  must('it writes', first.write(BLOCK, 903), true)
  // The workload's own sessions died with the program.
  for (const driver of world.drivers) driver.forget()
  return stage.finish()
}
