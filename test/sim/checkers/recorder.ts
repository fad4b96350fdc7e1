import type { ClientEffect, ClientInput } from '@ashlar/client/core'
import type { Effect, Input, LogEntry } from '@ashlar/node/core'
import { type Message, type SpaceReport, STORE_SPACES } from '@ashlar/proto'
import { Ordinals } from '../../kit/ordinals.ts'
import type { Clock } from '../world/time.ts'
import { hashOf } from './value-hash.ts'

/**
 * The run as a sequence of events: a hash over all inputs and effects, and one line for each when a trace is on. A
 * change of names, of texts or of the order in which fields are written leaves the hash as it is. The legend of the
 * lines: time in milliseconds, process, `<` for an input and `>` for an effect, then what it is.
 */
export class Recorder {
  inputs = 0
  private readonly clock: Clock
  private readonly trace: ((line: string) => void) | undefined
  // One table each: a name that an input shares with an effect, or a node with a client, may be changed in one of them
  // alone.
  private readonly hosts = new Ordinals<string>()
  private readonly nodeInputs = new Ordinals<string>()
  private readonly nodeEffects = new Ordinals<string>()
  private readonly clientInputs = new Ordinals<string>()
  private readonly clientEffects = new Ordinals<string>()
  private readonly messageTypes = new Ordinals<string>()
  private first = 0x811c9dc5
  private second = 0x1b873593

  constructor(clock: Clock, trace: ((line: string) => void) | undefined) {
    this.clock = clock
    this.trace = trace
  }

  nodeInput(who: string, input: Input): void {
    this.input(who, input, this.nodeInputs)
  }

  clientInput(who: string, input: ClientInput): void {
    this.input(who, input, this.clientInputs)
  }

  spaceReported(who: string, { space, freeBytes }: SpaceReport): void {
    this.mix(this.hosts.of(who))
    this.mix(STORE_SPACES.indexOf(space))
    this.mix(freeBytes)
  }

  nodeEffect(who: string, effect: Effect): void {
    this.effect(who, effect, this.nodeEffects)
  }

  clientEffect(who: string, effect: ClientEffect): void {
    this.effect(who, effect, this.clientEffects)
  }

  private effect(who: string, effect: Effect | ClientEffect, types: Ordinals<string>): void {
    this.mix(this.hosts.of(who))
    this.mix(types.of(effect.type))
    if (effect.type === 'send') this.mix(this.messageTypes.of(effect.message.type))
    this.mix(hashOf(effect))
    if (this.trace === undefined) return
    if (effect.type === 'send') this.line(who, '>', messageText(effect.message, effect.link))
    else this.line(who, '>', textOf(effect))
  }

  private input(who: string, input: Input | ClientInput, types: Ordinals<string>): void {
    this.inputs++
    if ('token' in input) this.mix(input.token)
    this.mix(this.hosts.of(who))
    this.mix(types.of(input.type))
    if ('link' in input) this.mix(input.link)
    if (input.type === 'received') this.mix(this.messageTypes.of(input.message.type))
    this.mix(Math.round(this.clock.now * 1000) | 0)
    if (this.trace === undefined || input.type === 'tick') return
    this.line(who, '<', input.type === 'received' ? messageText(input.message, input.link) : textOf(input))
  }

  logDurable(who: string, entry: LogEntry): void {
    this.line(who, '=', `log ${entry.index} ${textOf(entry.command)}`)
  }

  note(text: string): void {
    this.line('--', '!', text)
  }

  /** 16 hexadecimal digits. */
  hash(): string {
    return [this.first, this.second].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }

  private line(who: string, sign: string, text: string): void {
    this.trace?.(`${this.clock.now.toFixed(3).padStart(11)} ${who} ${sign} ${text}`)
  }

  private mix(value: number): void {
    this.first = Math.imul(this.first ^ value, 0x01000193)
    this.second = (Math.imul(this.second ^ (value + 0x9e3779b9), 0x85ebca6b) << 13) ^ (this.second >>> 19)
  }
}

function messageText(message: Message, link: number): string {
  const { type, ...fields } = message
  return `${type} on ${link} ${textOf(fields)}`
}

/** Any event as one line: bytes by their length only. */
function textOf(value: object): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part instanceof Uint8Array ? `${part.length} bytes` : part instanceof Map ? [...part] : part,
  )
}
