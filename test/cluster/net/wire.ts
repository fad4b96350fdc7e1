import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { before, Deadline } from '../../kit/deadline.ts'
import { ip, systemPath } from './namespaces.ts'

const SCRIPT = fileURLToPath(new URL('wire.py', import.meta.url))
const MTU_BYTES = 1500
const ANSWER_MS = 10_000

/** What one direction of a pair does to packets. Shares are from 0 to 1; a loss of 1 is a cut. */
export interface Conditions {
  readonly loss: number
  readonly delayMs: number
  readonly jitterMs: number
  readonly duplicate: number
  readonly reorder: number
}

/** Conditions of one direction: between the places with these names. */
export interface Rule {
  readonly from: string
  readonly to: string
  readonly conditions: Partial<Conditions>
}

/** The way out of a place: what is sent waits for what was sent before, in one queue, and is lost where that is full. */
export interface Line {
  /** 12,500 is 100 Mbit/s. */
  readonly bytesPerMs: number
  readonly queueBytes: number
}

/** What became of packets, by kind: `cut` were lost by a loss of 1, `crowded` where the queue of a line was full. */
export type PacketCounts = Readonly<
  Record<'carried' | 'lost' | 'cut' | 'delayed' | 'duplicated' | 'reordered' | 'crowded', number>
>

const GOOD: Conditions = { loss: 0, delayMs: 0, jitterMs: 0, duplicate: 0, reorder: 0 }

/** The network between the namespaces of one run: a process that carries every packet, and holds the faults of links. */
export class Wire {
  readonly #child: ChildProcess
  readonly #places: readonly string[]
  readonly #answers: AsyncIterator<string>
  readonly #rules = new Map<symbol, readonly Rule[]>()
  /** Commands, one after the other: answers come in the order of the questions. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(child: ChildProcess, places: readonly string[], answers: AsyncIterator<string>) {
    this.#child = child
    this.#places = places
    this.#answers = answers
  }

  /**
   * Connects places. The devices are made in `home` and moved from there.
   *
   * @param places their names, in the order of their addresses; `namespaceOf` gives the namespace of each
   * @param seed of the packets' fates
   */
  static async start(
    home: string,
    places: readonly string[],
    namespaceOf: (place: string) => string,
    seed: number,
  ): Promise<Wire> {
    const python = ['python3', SCRIPT, `${seed}`, `${places.length}`, `${MTU_BYTES}`]
    const child = spawn('ip', ['netns', 'exec', home, ...python], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, PATH: systemPath() },
    })
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
    const wire = new Wire(child, places, lines)
    await wire.#answer()
    for (const [index, place] of places.entries()) {
      const device = `wire${index + 1}`
      const namespace = namespaceOf(place)
      await ip('-n', home, 'link', 'set', device, 'netns', namespace)
      await ip('-n', namespace, 'addr', 'add', `${wire.addressOf(place)}/24`, 'dev', device)
      await ip('-n', namespace, 'link', 'set', device, 'up', 'mtu', `${MTU_BYTES}`)
    }
    return wire
  }

  /** Inside of the namespaces only, so it cannot clash with what the machine uses. */
  addressOf(place: string): string {
    return `10.99.0.${this.#numberOf(place)}`
  }

  /** Adds rules to those in force; resolves, once they are in force, to what takes them away again. */
  async add(rules: readonly Rule[]): Promise<() => Promise<void>> {
    const key = Symbol('rules')
    this.#rules.set(key, rules)
    await this.#apply()
    return async () => {
      this.#rules.delete(key)
      await this.#apply()
    }
  }

  /** Rules for both directions of every pair of places. */
  everywhere(conditions: Partial<Conditions>): Rule[] {
    return this.#places.flatMap((from) =>
      this.#places.filter((to) => to !== from).map((to) => ({ from, to, conditions })),
    )
  }

  /** Gives places a line from now on; those that are not named have no limit. */
  async setLines(lines: Readonly<Record<string, Line>>): Promise<void> {
    await this.#ask({
      lines: Object.fromEntries(Object.entries(lines).map(([place, line]) => [this.#numberOf(place), line])),
    })
  }

  counts(): Promise<PacketCounts> {
    return this.#ask({ counts: true }) as Promise<PacketCounts>
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await ended
  }

  #apply(): Promise<unknown> {
    const pairs: Record<string, Conditions> = {}
    for (const { from, to, conditions } of [...this.#rules.values()].flat()) {
      const pair = `${this.#numberOf(from)}>${this.#numberOf(to)}`
      pairs[pair] = together(pairs[pair] ?? GOOD, { ...GOOD, ...conditions })
    }
    return this.#ask({ pairs })
  }

  #ask(question: object): Promise<unknown> {
    const answer = this.#last.then(() => {
      this.#child.stdin?.write(`${JSON.stringify(question)}\n`)
      return this.#answer()
    })
    this.#last = answer.catch(() => undefined)
    return answer
  }

  async #answer(): Promise<unknown> {
    using deadline = new Deadline(ANSWER_MS)
    const line = await before(deadline.signal('the wire answers'), this.#answers.next())
    if (line.done === true) throw new Error('the wire ended: what it said stands above')
    return JSON.parse(line.value)
  }

  #numberOf(place: string): number {
    const index = this.#places.indexOf(place)
    if (index < 0) throw new Error(`${place} is not on the wire: there are ${this.#places.join(', ')}`)
    return index + 1
  }
}

/** Both at once: a packet must survive each loss, and delays add up. */
function together(one: Conditions, other: Conditions): Conditions {
  const either = (a: number, b: number): number => 1 - (1 - a) * (1 - b)
  return {
    loss: either(one.loss, other.loss),
    delayMs: one.delayMs + other.delayMs,
    jitterMs: one.jitterMs + other.jitterMs,
    duplicate: either(one.duplicate, other.duplicate),
    reorder: either(one.reorder, other.reorder),
  }
}
