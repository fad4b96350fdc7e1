import type { ClientEffect, ClientInput } from '@ashlar/client/core'
import type { Effect, Input, LogEntry } from '@ashlar/node/core'
import { type Message, STORE_SPACES, type StoreRoom } from '@ashlar/proto'
import type { Clock } from '../world/time.ts'

/**
 * The run as a sequence of events: a hash over all of them, and one line for each when somebody listens. The legend of the
 * lines: time in milliseconds, who, `<` for an input and `>` for an effect, then what it is.
 */
export class Recorder {
  inputs = 0
  private readonly clock: Clock
  private readonly trace: ((line: string) => void) | undefined
  private readonly codes = new Map<string, number>()
  private first = 0x811c9dc5
  private second = 0x1b873593

  constructor(clock: Clock, trace: ((line: string) => void) | undefined) {
    this.clock = clock
    this.trace = trace
  }

  nodeInput(who: string, input: Input): void {
    if ('token' in input) this.mix(input.token)
    this.input(who, input)
  }

  clientInput(who: string, input: ClientInput): void {
    if ('token' in input) this.mix(input.token)
    this.input(who, input)
  }

  roomTold(who: string, { space, freeBytes }: StoreRoom): void {
    this.mix(this.code(who))
    this.mix(STORE_SPACES.indexOf(space))
    this.mix(freeBytes)
  }

  effect(who: string, effect: Effect | ClientEffect): void {
    if (this.trace === undefined) return
    if (effect.type === 'send') this.line(who, '>', messageText(effect.message, effect.link))
    else this.line(who, '>', textOf(effect))
  }

  private input(who: string, input: Input | ClientInput): void {
    this.inputs++
    this.mix(this.code(who))
    this.mix(this.code(input.type))
    if ('link' in input) this.mix(input.link)
    if (input.type === 'received') this.mix(this.code(input.message.type))
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

  private code(text: string): number {
    let code = this.codes.get(text)
    if (code === undefined) {
      code = 0x811c9dc5
      for (const char of text) code = Math.imul(code ^ (char.codePointAt(0) ?? 0), 0x01000193)
      this.codes.set(text, code)
    }
    return code
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
