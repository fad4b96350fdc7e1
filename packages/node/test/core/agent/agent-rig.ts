import assert from 'node:assert/strict'
import {
  type Epoch,
  ERRORS,
  type ExtentId,
  FEATURE_LEVEL,
  type MapDelta,
  type Message,
  type NodeName,
  type SetChange,
  type StoreId,
  WIRE_VERSION,
} from '@ashlar/proto'
import { ControlAgent } from '../../../src/core/agent/index.ts'
import { isFor } from '../../../src/core/handlers.ts'
import type { PeerLinks } from '../../../src/core/interfaces.ts'
import type { Link } from '../../../src/core/machine.ts'
import { address, CLUSTER, incarnation, only, Reducer, Script, store } from '../control/kit.ts'

export const OK = ERRORS.OK.number
export const LEADER: Link = 1
export const CLIENT: Link = 90

/** An agent of store 2 whose leader, store 1, is played by the test with a real map. */
export class AgentRig {
  readonly ctx: Script = new Script()
  readonly leader: Reducer = new Reducer().bootstrapped(3)
  readonly agent: ControlAgent
  readonly changed: ExtentId[][] = []
  readonly releasesAnswered: { extent: ExtentId; epoch: Epoch }[] = []
  readonly outcomes: { change: SetChange; revisionShown: number | undefined }[] = []
  /** The dialed link to the leader; undefined while there is none. */
  link: Link | undefined = LEADER
  holdsWhatCounts = true
  answeringStore: StoreId = store(1)

  constructor() {
    const links: PeerLinks = {
      dialed: (asked) => (asked === this.answeringStore ? this.link : undefined),
      dialedAddress: (asked) => (asked === address(1) ? this.link : undefined),
      storeOf: (link) => (link === this.link ? this.answeringStore : undefined),
      counterOf: () => 1,
      wireOf: () => WIRE_VERSION,
      levelOf: () => FEATURE_LEVEL,
      lastHeard: () => this.ctx.now,
      lastFrame: () => this.ctx.now,
    }
    this.agent = new ControlAgent(
      {
        store: store(2),
        name: 'n2' as NodeName,
        address: address(2),
        api: '',
        incarnation: incarnation(1),
        trust: 'trusted',
      },
      links,
    )
    this.agent.listen({
      holdsWhatCounts: () => this.holdsWhatCounts,
      onMapChanged: (_ctx, changed) => this.changed.push([...changed]),
      onReleased: (_ctx, extents) => this.releasesAnswered.push(...extents),
      onSetChanged: (_ctx, change) =>
        this.outcomes.push({ change, revisionShown: this.agent.map.extents.get(change.extent)?.revision }),
    })
  }

  /** Messages to the leader that one input and the end of its step give. */
  step(input: () => void = () => {}): Message[] {
    input()
    this.agent.endStep(this.ctx)
    const effects = this.ctx.take()
    this.#other.push(...effects.filter((effect) => effect.type !== 'send' || effect.link !== this.link))
    return effects.flatMap((effect) => (effect.type === 'send' && effect.link === this.link ? [effect.message] : []))
  }
  #other: ReturnType<Script['take']> = []

  /** What went elsewhere since the last call. */
  elsewhere() {
    const taken = this.#other
    this.#other = []
    return taken
  }

  sentTo(link: Link): Message[] {
    return this.elsewhere().flatMap((effect) =>
      effect.type === 'send' && effect.link === link ? [effect.message] : [],
    )
  }

  receive(message: Message, link: Link = LEADER): Message[] {
    assert.ok(isFor(ControlAgent.handlers, message), `the agent takes no ${message.type}`)
    return this.step(() => this.agent.onMessage(this.ctx, link, message))
  }

  begin(): Message[] {
    return this.step(() => this.agent.begin(this.ctx, CLUSTER, [{ store: store(1), address: address(1) }]))
  }

  pass(ms: number): Message[] {
    this.ctx.now += ms
    return this.step(() => this.agent.onTick(this.ctx))
  }

  delta(): MapDelta {
    return this.leader.state.deltaSince(this.agent.map.revision)
  }

  giveMap(): Message[] {
    return this.receive({ type: 'map-update', delta: this.delta() })
  }

  /** Registered, with the map and a lease. Gives nothing back: a step may have sent anything. */
  registered(): this {
    const { request } = only(this.begin(), 'register')
    const sent = this.receive({
      type: 'registered',
      request,
      code: OK,
      message: '',
      revision: this.leader.state.revision,
    })
    this.giveMap()
    this.answer(only(sent, 'renew').token)
    this.step()
    this.elsewhere()
    return this
  }

  answer(token: number, revision: number = this.leader.state.revision, code: number = OK): Message[] {
    return this.receive({ type: 'renewed', token, code, revision })
  }

  get held(): boolean {
    return this.agent.leaseHeld(this.ctx)
  }

  settle(): void {
    for (let n = 0; n < 3; n++) this.step()
  }
}
