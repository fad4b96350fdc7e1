import type { AdminCommand, StoreId } from '@ashlar/proto'
import type { Chance } from '../world/chance.ts'
import type { Membership } from '../world/membership.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { Clock } from '../world/time.ts'

/** What the operator may look at, and reach. */
export interface OperatorWorld {
  readonly clock: Clock
  readonly chance: Chance
  readonly membership: Membership
  readonly nodes: readonly NodeHost[]
}

type Command = Extract<AdminCommand, { do: 'change-members' | 'transfer-leadership' }>
/** The operator waits no longer for the answer of a node, which may have died. */
const PATIENCE_MS = 8000

/**
 * An operator that changes the members of the control log again and again: adds learners, makes them voters, removes
 * members, moves leadership. No reason is needed but one: never a removal after which the voters that still have their
 * disks would be no majority. That is looked at before, so nothing else may lose a disk until the answer is there.
 */
export class Operator {
  private readonly world: OperatorWorld
  private quiet = false
  /** No command is in flight. */
  idle = true

  constructor(world: OperatorWorld) {
    this.world = world
  }

  /** Begins to work, for so long. */
  start(forMs: number): void {
    this.world.clock.after(forMs, () => this.stop())
    this.later()
  }

  stop(): void {
    this.quiet = true
  }

  private later(): void {
    const { clock, chance } = this.world
    clock.after(chance.skewed(50, 2500), () => {
      if (this.quiet) return
      const command = this.choose()
      if (command === undefined) this.later()
      else this.ask(command)
    })
  }

  private ask(command: Command): void {
    const { membership, chance, clock, nodes } = this.world
    const { process } = chance.pick(nodes)
    if (process?.alive() !== true) return this.later()
    this.idle = false
    membership.beginChange()
    let ended = false
    const end = (): void => {
      if (ended) return
      ended = true
      membership.endChange()
      this.idle = true
      this.later()
    }
    process.admin(command, end)
    clock.after(PATIENCE_MS, end)
  }

  private choose(): Command | undefined {
    const { chance, membership, nodes } = this.world
    const { voters, learners } = membership.current
    const members = [...voters, ...learners]
    const others = nodes.map(({ disk }) => disk.store).filter((store) => !members.includes(store))
    const removable = members.filter((store) => membership.mayRemove(store))
    const possible: Command[] = [
      ...change('add', others),
      ...change('promote', voters.length < MOST_VOTERS ? learners : []),
      // One voter alone wants company: growth from one to three is what people do.
      ...change('remove', voters.length > 1 ? removable : []),
      ...(voters.length > 1 ? voters : []).map((store) => ({ do: 'transfer-leadership', store }) as const),
    ]
    const kinds = [...new Set(possible.map(kindOf))]
    if (kinds.length === 0) return undefined
    const kind = chance.pick(kinds)
    return chance.pick(possible.filter((command) => kindOf(command) === kind))
  }
}

const MOST_VOTERS = 5

function change(what: 'add' | 'promote' | 'remove', stores: readonly StoreId[]): Command[] {
  return stores.map((store) => ({ do: 'change-members', change: what, store }))
}

function kindOf(command: Command): string {
  return command.do === 'change-members' ? command.change : command.do
}
