import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Epoch, extentId, type Message, type VolumeId } from '@ashlar/proto'
import type { ClientTransport, ClientTransportEvents } from '../../src/transport/client-transport.ts'
import { waitFor } from '../kit/wait-for.ts'

/** A node that the suite's transport dials: it answers every read with `answer`, in order. */
export interface DialedNode extends AsyncDisposable {
  readonly address: string
  /** An address at which no node is. */
  readonly emptyAddress: string
  open(events: ClientTransportEvents): ClientTransport
  /** Ends every connection from the node's side. */
  cutAll(): void
}

/** All that a transport told, in order, and whether it did so from inside a call. */
class Told {
  readonly lines: string[] = []
  readonly answered: number[] = []
  insideCall = false
  fault: string | undefined

  readonly events: ClientTransportEvents = {
    linkUp: (link, address) => this.#tell(`up ${link} ${address}`),
    linkDown: (link) => this.#tell(`down ${link}`),
    dialFailed: (address) => this.#tell(`failed ${address}`),
    messages: (link, messages) => {
      for (const message of messages) {
        if (message.type === 'answer') this.answered.push(message.request)
        else this.#tell(`${message.type} ${link}`)
      }
      if (this.insideCall) this.fault = 'messages came from inside a call'
    },
  }

  /** Carries out a call of the transport: nothing may be told before it returns. */
  calling(call: () => void): void {
    this.insideCall = true
    call()
    this.insideCall = false
  }

  #tell(line: string): void {
    if (this.insideCall) this.fault = `"${line}" was told from inside a call`
    this.lines.push(line)
  }
}

function read(request: number): Message {
  const extent = extentId(1 as VolumeId, 0)
  return { type: 'read', request, extent, epoch: 1 as Epoch, generation: 0, offset: 0, length: 4096 }
}

/** The promises of `ClientTransport`, which every implementation of it keeps. */
export function transportConformance(name: string, start: () => Promise<DialedNode>): void {
  const cases: Readonly<Record<string, (node: DialedNode, told: Told, transport: ClientTransport) => Promise<void>>> = {
    'links an address that is dialed, once, however often it is asked for': async (node, told, transport) => {
      told.calling(() => transport.setDialed([node.address]))
      told.calling(() => transport.setDialed([node.address, node.address]))
      await waitFor('the link is up', () => told.lines.length > 0)
      assert.deepEqual(told.lines, [`up 1 ${node.address}`])
    },
    'carries messages in order, both ways': async (node, told, transport) => {
      transport.setDialed([node.address])
      await waitFor('the link is up', () => told.lines.length > 0)
      const requests = Array.from({ length: 500 }, (_, index) => index + 1)
      told.calling(() => {
        for (const request of requests) transport.send(1, read(request))
      })
      await waitFor('every answer came', () => told.answered.length === 500)
      assert.deepEqual(told.answered, requests)
    },
    'does not send what is withdrawn before it left': async (node, told, transport) => {
      transport.setDialed([node.address])
      await waitFor('the link is up', () => told.lines.length > 0)
      told.calling(() => {
        for (const request of [1, 2, 3]) transport.send(1, read(request))
        transport.withdraw(1, 2)
        transport.withdraw(1, 99)
        transport.withdraw(7, 1)
      })
      await waitFor('the last answer came', () => told.answered.includes(3))
      assert.deepEqual(told.answered, [1, 3])
    },
    'tells that a link went down, dials again, and loses what was sent to the old one': async (
      node,
      told,
      transport,
    ) => {
      transport.setDialed([node.address])
      await waitFor('the link is up', () => told.lines.length === 1)
      node.cutAll()
      await waitFor('the next link is up', () => told.lines.length === 3)
      assert.deepEqual(told.lines, [`up 1 ${node.address}`, 'down 1', `up 2 ${node.address}`])
      told.calling(() => {
        transport.send(1, read(1))
        transport.send(2, read(2))
      })
      await waitFor('an answer came', () => told.answered.length > 0)
      assert.deepEqual(told.answered, [2])
    },
    'closes a link that its owner does not trust, and dials again': async (node, told, transport) => {
      transport.setDialed([node.address])
      await waitFor('the link is up', () => told.lines.length === 1)
      told.calling(() => {
        transport.closeLink(1, 'it sent nonsense')
        transport.closeLink(9, 'there is none')
      })
      await waitFor('the next link is up', () => told.lines.length === 3)
      assert.deepEqual(told.lines.slice(1), ['down 1', `up 2 ${node.address}`])
    },
    'lets go of an address that is not wanted any more': async (node, told, transport) => {
      transport.setDialed([node.address])
      await waitFor('the link is up', () => told.lines.length === 1)
      told.calling(() => transport.setDialed([]))
      await waitFor('the link is down', () => told.lines.length === 2)
      told.calling(() => transport.setDialed([node.address]))
      await waitFor('it is dialed anew', () => told.lines.length === 3)
      assert.deepEqual(told.lines.slice(1), ['down 1', `up 2 ${node.address}`])
    },
    'says that an address cannot be reached, and counts it': async (node, told, transport) => {
      told.calling(() => transport.setDialed([node.emptyAddress]))
      await waitFor('the dial failed', () => told.lines.length > 0)
      assert.equal(told.lines[0], `failed ${node.emptyAddress}`)
      assert.ok(transport.counters.failedDials > 0)
    },
    'closes at most once, and carries nothing afterwards': async (node, told, transport) => {
      transport.setDialed([node.address])
      await waitFor('the link is up', () => told.lines.length === 1)
      transport.send(1, read(1))
      await Promise.all([transport.close(), transport.close()])
      const before = told.lines.length
      told.calling(() => {
        transport.setDialed([node.address])
        transport.send(1, read(2))
        transport.closeLink(1, 'again')
      })
      await transport.close()
      assert.deepEqual([told.lines.length, told.answered.includes(2)], [before, false])
    },
  }
  describe(`${name} as a transport`, () => {
    for (const [title, run] of Object.entries(cases)) {
      test(title, async () => {
        await using node = await start()
        const told = new Told()
        const transport = node.open(told.events)
        try {
          await run(node, told, transport)
        } finally {
          await transport.close()
        }
        assert.equal(told.fault, undefined)
      })
    }
  })
}
