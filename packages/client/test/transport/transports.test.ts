import { ERRORS, type StoreId } from '@ashlar/proto'
import { type MemoryNetwork, MemoryTransport } from '../../src/testing/memory-transport.ts'
import { WsTransport } from '../../src/transport/ws-transport.ts'
import { FakeCluster } from '../kit/fake-cluster.ts'
import { type DialedNode, transportConformance } from './transport-conformance.ts'

transportConformance('WsTransport', async (): Promise<DialedNode> => {
  const cluster = await FakeCluster.start(1)
  const node = cluster.node(0)
  return {
    address: node.address,
    // Nobody can listen there: the port of TCP's own multiplexer needs a service that no test machine runs.
    emptyAddress: '127.0.0.1:1',
    open: (events) => new WsTransport({ name: 'test' }, events),
    cutAll: () => node.disconnectAll(),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
})

transportConformance('MemoryTransport', async (): Promise<DialedNode> => {
  const node = { name: 'n1', address: 'n1.memory:1', store: 's1' as StoreId, isUp: true }
  const transports = new Set<MemoryTransport>()
  const network: MemoryNetwork = {
    nodeAt: (address) => (address === node.address ? node : undefined),
    receive: (link, message) => {
      if (message.type !== 'read') throw new Error(`a ${message.type} came`)
      const { request, epoch } = message
      link.transport.answer(link, { type: 'answer', request, code: ERRORS.NOT_FOUND.number, epoch })
    },
  }
  return {
    address: node.address,
    emptyAddress: 'n2.memory:1',
    open: (events) => {
      const transport = new MemoryTransport(network, events, (closed) => transports.delete(closed))
      transports.add(transport)
      return transport
    },
    cutAll: () => {
      for (const transport of transports) for (const link of [...transport.links]) transport.cut(link)
    },
    [Symbol.asyncDispose]: async () => {},
  }
})
