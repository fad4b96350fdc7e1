import type { Effect, Input } from '@ashlar/node/core'
import type { Cancel, QueryAllocation, Read, Write, Zero } from '@ashlar/proto'
import type { NodeProcess } from '../world/node-host.ts'

export type Request = Write | Zero | Read | QueryAllocation | Cancel

/** Which request an answer of a node belongs to. */
export class Requests {
  private readonly open = new WeakMap<NodeProcess, Map<string, Request>>()

  received(node: NodeProcess, input: Input): void {
    if (input.type !== 'received') return
    const { message, link } = input
    switch (message.type) {
      case 'write':
      case 'zero':
      case 'read':
      case 'query-allocation':
      case 'cancel':
        this.of(node).set(`${link}:${message.request}`, message)
    }
  }

  /** The request that this effect answers, with the outcome; undefined for every other effect. */
  answered(node: NodeProcess, effect: Effect): { request: Request; good: boolean } | undefined {
    if (effect.type === 'reply-read') return this.take(node, effect.link, effect.request, true)
    if (effect.type !== 'send') return undefined
    const { message, link } = effect
    if (message.type === 'answer') return this.take(node, link, message.request, message.code === 0)
    return message.type === 'allocation' ? this.take(node, link, message.request, true) : undefined
  }

  private take(node: NodeProcess, link: number, request: number, good: boolean) {
    const key = `${link}:${request}`
    const found = this.of(node).get(key)
    this.of(node).delete(key)
    return found === undefined ? undefined : { request: found, good }
  }

  private of(node: NodeProcess): Map<string, Request> {
    let requests = this.open.get(node)
    if (requests === undefined) {
      requests = new Map()
      this.open.set(node, requests)
    }
    return requests
  }
}
