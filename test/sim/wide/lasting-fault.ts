import { type ExtentRecord, extentIndexOf, leaseExpiryMs, type Millis, TIMERS, volumeOf } from '@ashlar/proto'
import type { Nemesis } from '../faults/nemesis.ts'
import { BLOCK_BYTES } from '../options.ts'
import { becomeReady, HEALING_MS } from '../phases.ts'
import { VOLUME_NAME } from '../workload/client-driver.ts'
import { Chance } from '../world/chance.ts'
import type { World } from '../world/world.ts'
import { LASTING_FAULTS, type LastingFault, type Promises } from './lasting-faults.ts'

/**
 * What may pass until a fault is dealt with. A disk that hangs shows after `slowMs`: at the leader of control first,
 * since nothing is decided before; then at the primary, which gives its extents up; then at the next one, which takes
 * the store out. In between are two elections and two leases, and a request that got no answer is sent again twice.
 */
const FIRST_MS = 3 * TIMERS.slowMs + 2 * (TIMERS.electionMaxMs + leaseExpiryMs()) + 2 * TIMERS.openTimeoutMs
/** Afterwards a call waits at most for a replica that is tried again and falls silent or slow again, once. */
const LATER_MS = TIMERS.slowMs + TIMERS.silentMs
const LONGEST_PAUSE_MS = 7000
/** So long that a replica which was removed is let in again several times, if it can: after 1, 2, 4, 8 and 16 s. */
const LASTS_MS = 30_000

/**
 * Everything is mended and whole; then exactly one thing breaks and stays so. All that this one thing does not hold has
 * to be served within a bound: reads where the primary was active and stays, reads and writes where minInSync is left.
 */
export function oneThingStaysBroken(world: World, nemesis: Nemesis): void {
  const { checkers, options } = world
  nemesis.mend()
  world.setCalm(true)
  if (!becomeReady(world)) return
  // A process that the nemesis paused goes on by itself.
  world.runUntil(() => checkers.broken, LONGEST_PAUSE_MS)
  if (!world.runUntil(() => world.healed() || checkers.broken, HEALING_MS)) {
    return checkers.violation('liveness', `not healed ${HEALING_MS} ms before one thing breaks: ${world.describe()}`)
  }
  if (checkers.broken) return
  const chance = new Chance(options.seed ^ 0x1a57)
  const fault = begin(world, chance)
  if (fault === undefined) return
  checkers.recorder.note(`from now on ${fault.what}`)
  new Prober(world, chance, fault).run()
  fault.end()
}

/** Breaks the first thing, of all in any order, that there is and that leaves something to ask for. */
function begin(world: World, chance: Chance): LastingFault | undefined {
  for (const make of chance.inAnyOrder(LASTING_FAULTS)) {
    const fault = make(world, chance)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** Asks for what is promised, one call after the other, and says what came too late. */
class Prober {
  private readonly world: World
  private readonly chance: Chance
  private readonly fault: LastingFault
  private readonly begunAt: Millis
  private asked = 0

  constructor(world: World, chance: Chance, fault: LastingFault) {
    this.world = world
    this.chance = chance
    this.fault = fault
    this.begunAt = world.clock.now
  }

  run(): void {
    const { clock, checkers } = this.world
    while (clock.now < this.begunAt + FIRST_MS + LASTS_MS && !checkers.broken) {
      for (const record of checkers.truth.map.extents.values()) this.probe(record)
      this.world.runUntil(() => checkers.broken, this.chance.between(100, 1500))
    }
  }

  private probe(record: ExtentRecord): void {
    const promised = this.fault.promises(record)
    if (promised.reads) this.ask(record, 'read', promised)
    if (promised.writes) this.ask(record, 'write', promised)
  }

  private ask(record: ExtentRecord, what: 'read' | 'write', { unbroken }: Promises): void {
    const { clock, checkers, drivers } = this.world
    const offset = offsetIn(this.world, record, what)
    const able = drivers.filter(({ mode }) => what === 'read' || mode !== 'read-only')
    const driver = able[this.asked++ % able.length]
    if (offset === undefined || driver === undefined || checkers.broken) return
    const askedAt = clock.now
    const until = Math.max(unbroken ? 0 : this.begunAt + FIRST_MS, askedAt + LATER_MS)
    // Opening the volume again for writing needs an entry of control's log.
    if (this.asked % 3 === 0) driver.leave()
    let ended = false
    driver.insist(what, { offset, length: BLOCK_BYTES }, () => {
      ended = true
    })
    this.world.runUntil(() => ended || checkers.broken, until - clock.now)
    if (ended || checkers.broken) return
    const sinceMs = Math.round(askedAt - this.begunAt)
    const waitedMs = Math.round(clock.now - askedAt)
    const text = `${this.fault.what}, and a ${what} of extent ${record.id} that began ${sinceMs} ms later waits for ${waitedMs} ms`
    checkers.violation('liveness', `${text}: ${this.world.describe()}`)
  }
}

/**
 * A block of the extent that clients write, or to read one that they do not: a read waits for a write that is on its
 * way.
 */
function offsetIn({ options, checkers }: World, record: ExtentRecord, what: 'read' | 'write'): number | undefined {
  const { hotOffset, hotBytes, extentSizeBytes } = options
  const volume = checkers.truth.volume(volumeOf(record.id))
  if (volume?.name !== VOLUME_NAME) return undefined
  const first = extentIndexOf(record.id) * extentSizeBytes
  const last = Math.min(first + extentSizeBytes, volume.sizeBytes) - BLOCK_BYTES
  const isHot = (offset: number): boolean => offset >= hotOffset && offset < hotOffset + hotBytes
  if (what === 'read') return [first, last].find((offset) => !isHot(offset))
  return [hotOffset, hotOffset + hotBytes - BLOCK_BYTES].find((offset) => offset >= first && offset <= last)
}
