import { checkOwnOrder, type OwnedOperation } from './own-order.ts'
import { checkRegister, type RegisterProblem, ZERO } from './register-check.ts'

/** What is known of the end of a call. `never`: it is promised that it did not take effect and will not. */
export type Ending = 'done' | 'unknown' | 'never'

export interface HistoryProblem {
  readonly register: number
  readonly text: string
}

/**
 * A history of reads and writes over numbered registers: a call covers one or more of them. Writes have values that are
 * never used again, or ZERO. `check` reads the whole history at the end.
 */
export class History {
  private readonly registers = new Map<number, Entry[]>()
  /** What happened to registers before they began again. */
  private readonly past: { readonly register: number; readonly entries: Entry[] }[] = []
  /** When the history of a register began again. */
  private readonly restartedAt = new Map<number, number>()
  private readonly never = new Set<number>()
  private readonly now: () => number
  /** Calls that ended well. */
  done = 0
  /** Of those the ones that read. */
  reads = 0

  /** `now`: true time, in any unit. */
  constructor(now: () => number) {
    this.now = now
  }

  /** `writer`: its writes of one register take effect in the order in which they are begun (own-order.ts). */
  beginWrite(registers: readonly number[], value: number, writer?: object): (ending: Ending) => void {
    const begun = { kind: 'write', value, invoked: this.now(), ...(writer && { writer }) } as const
    const entries = registers.map((register) => this.add(register, begun))
    return (ending) => {
      if (ending === 'never') this.neverHappened(entries, value)
      if (ending !== 'done') return
      this.done++
      for (const entry of entries) entry.returned = this.now()
    }
  }

  /** The values that were read are given at the end, one a register; nothing when the read failed. */
  beginRead(registers: readonly number[]): (values: readonly number[] | undefined) => void {
    const invoked = this.now()
    return (values) => {
      if (values === undefined) return
      this.done++
      this.reads++
      registers.forEach((register, index) => {
        // It may have taken effect before the history that it would belong to began.
        if (invoked <= (this.restartedAt.get(register) ?? -Infinity)) return
        this.add(register, { kind: 'read', value: values[index] as number, invoked }).returned = this.now()
      })
    }
  }

  /**
   * Registers that may hold an older value from now on, as an operator accepted, any that was ever written: their
   * history begins again. Calls that are in flight may take effect before or after, or never.
   */
  restart(registers: (register: number) => boolean): void {
    for (const [register, entries] of this.registers) {
      if (!registers(register)) continue
      this.past.push({ register, entries })
      this.restartedAt.set(register, this.now())
      const writes = entries.filter(
        ({ kind, value, returned }) => kind === 'write' && (value !== ZERO || returned === Infinity),
      )
      for (const write of writes) {
        write.isPast = true
        this.never.delete(write.value)
      }
      this.registers.set(
        register,
        writes.map(({ value }) => ({ kind: 'write', value, invoked: this.now(), returned: Infinity, isPast: true })),
      )
    }
  }

  check(): HistoryProblem[] {
    const problems: HistoryProblem[] = []
    const now = [...this.registers].map(([register, entries]) => ({ register, entries }))
    for (const { register, entries } of [...this.past, ...now]) {
      const problem: RegisterProblem | undefined = checkRegister(entries)
      const text = problem?.text ?? checkOwnOrder(entries)
      if (text !== undefined) problems.push({ register, text })
      const ghost = entries.find(({ kind, value }) => kind === 'read' && this.never.has(value))
      if (ghost !== undefined) {
        problems.push({ register, text: `${ghost.value} was read, though its write was promised never to take effect` })
      }
    }
    return problems
  }

  /** Everything that happened to one register, for people. */
  describe(register: number): string[] {
    return (this.registers.get(register) ?? []).map(
      ({ kind, value, invoked, returned }) => `${kind} ${value} from ${invoked} to ${returned}`,
    )
  }

  private neverHappened(entries: readonly Entry[], value: number): void {
    // A discard leaves no mark that a later read could be checked against; without an answer it constrains nothing.
    if (value !== ZERO && !entries.some(({ isPast }) => isPast)) this.never.add(value)
    for (const entry of entries) entry.returned = Infinity
  }

  private add(register: number, operation: Omit<OwnedOperation, 'returned'>): Entry {
    const entry: Entry = { ...operation, returned: Infinity }
    const entries = this.registers.get(register)
    if (entries === undefined) this.registers.set(register, [entry])
    else entries.push(entry)
    return entry
  }
}

interface Entry extends OwnedOperation {
  returned: number
  /** Of a history that ended. */
  isPast?: boolean
}
