import {
  type ClientCall,
  type ClientEffect,
  type ClientEvent,
  type ClientInput,
  ClientMachine,
  type ClientOutcome,
} from '@ashlar/client/core'
import { type Message, type Millis, WIRE_VERSION } from '@ashlar/proto'
import type { Chance } from './chance.ts'
import type { Hello } from './connection.ts'
import type { Network } from './network.ts'
import type { ClientObserver } from './observer.ts'
import { Process } from './process.ts'
import type { Clock } from './time.ts'

/** A machine that runs one program with the client library. A crash ends every call without an outcome. */
export class ClientHost {
  readonly name: string
  private readonly rate: number
  private readonly world: ClientWorld
  process: ClientProcess

  constructor(name: string, rate: number, world: ClientWorld) {
    this.name = name
    this.rate = rate
    this.world = world
    this.process = this.start()
  }

  private start(): ClientProcess {
    const process = new ClientProcess(this.name, this.rate, this.world)
    process.begin()
    return process
  }

  crashAndRestart(): void {
    this.process.kill()
    this.process = this.start()
  }
}

export interface ClientWorld {
  readonly clock: Clock
  readonly network: Network
  readonly chance: Chance
  readonly observer: ClientObserver
  readonly servers: readonly string[]
  readonly ioTimeoutMs: Millis
  readonly cancelGraceMs: Millis
  readonly answerTimeoutMs: Millis
}

export class ClientProcess extends Process {
  private readonly machine: ClientMachine
  private readonly world: ClientWorld
  private readonly pending = new Map<number, (outcome: ClientOutcome) => void>()
  private tokens = 0
  /** Called with each event of the machine. */
  onEvent: (event: ClientEvent) => void = () => {}

  constructor(name: string, rate: number, world: ClientWorld) {
    super(name, rate, world)
    this.world = world
    this.machine = new ClientMachine({
      servers: world.servers,
      name,
      owner: name,
      seed: world.chance.seed(),
      ioTimeoutMs: world.ioTimeoutMs,
      cancelGraceMs: world.cancelGraceMs,
      answerTimeoutMs: world.answerTimeoutMs,
    })
  }

  begin(): void {
    this.startTicking(this.world.chance)
    this.run(() => this.feed({ type: 'tick' }))
  }

  /** `then` is called with the outcome, once, unless this process dies first. Returns the token of the call. */
  call(call: ClientCall, then: (outcome: ClientOutcome) => void): number {
    const token = ++this.tokens
    this.pending.set(token, then)
    this.run(() => this.feed({ type: 'call', token, call }))
    return token
  }

  /** The caller of this call no longer waits. */
  abandon(token: number): void {
    if (this.pending.has(token)) this.run(() => this.feed({ type: 'abandon', token }))
  }

  get pendingCalls(): number {
    return this.pending.size
  }

  kill(): void {
    this.pending.clear()
    this.end(false)
  }

  hello(): Hello {
    return { kind: 'client', wire: WIRE_VERSION, name: this.host }
  }

  linkUp(link: number, _direction: 'in' | 'out', peer: Hello, address: string): void {
    if (peer.kind === 'node') this.feed({ type: 'link-up', link, address, store: peer.store, wire: peer.wire })
  }

  linkDown(link: number): void {
    this.feed({ type: 'link-down', link })
  }

  messages(link: number, messages: readonly Message[]): void {
    for (const message of messages) this.feed({ type: 'received', link, message })
  }

  dialFailed(address: string, reason: string): void {
    this.feed({ type: 'dial-failed', address, reason })
  }

  protected tick(): void {
    if (this.machine.isBusy || this.machine.renews) this.feed({ type: 'tick' })
  }

  private feed(input: ClientInput): void {
    if (!this.alive()) return
    const { observer } = this.world
    observer.clientInput(this, input)
    let effects: readonly ClientEffect[]
    try {
      effects = this.machine.step(this.now(), input)
    } catch (error) {
      observer.violation('machine', `${this.host} threw: ${error instanceof Error ? error.stack : String(error)}`)
      return this.kill()
    }
    for (const effect of effects) {
      if (!this.alive()) return
      observer.clientEffect(this, effect)
      this.executeEffects(effect)
    }
  }

  private executeEffects(effect: ClientEffect): void {
    switch (effect.type) {
      case 'send':
        return this.network.send(this, effect.link, effect.message)
      case 'withdraw':
        // The network of the simulation takes every message at once: none waits to be sent.
        return
      case 'close-link':
        return this.network.closeLink(this, effect.link)
      case 'dial':
        return this.network.setDialed(this, effect.addresses)
      case 'event':
        return this.onEvent(effect.event)
      case 'settled':
        return this.settle(effect.token, effect.outcome)
    }
  }

  private settle(token: number, outcome: ClientOutcome): void {
    const then = this.pending.get(token)
    this.pending.delete(token)
    if (then === undefined) this.world.observer.violation('client', `${this.host} settled call ${token} twice`)
    else then(outcome)
  }
}
