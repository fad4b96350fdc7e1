import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Epoch,
  extentId,
  InvariantError,
  type Message,
  type SessionId,
  type VolumeId,
  WIRE_VERSION,
  type Write,
} from '@ashlar/proto'
import { decodeFrame, encodeFrame, WEBSOCKET_DIAL_OPTIONS } from '@ashlar/proto/codec'
import { WebSocket, WebSocketServer } from 'ws'
import { WS_SERVER_OPTIONS } from '../../../packages/node/src/transport/options.ts'
import { BlockSource } from './content.ts'
import { BLOCK_BYTES, type Piece, type PieceSettings } from './piece.ts'

const EXTENT = extentId(1 as VolumeId, 0)
const EPOCH = 1 as Epoch

/** Answers every write; the answers to the writes of one frame share a frame. */
export async function websocketServer(): Promise<Piece> {
  const { noServer: _, ...options } = WS_SERVER_OPTIONS
  const server = new WebSocketServer({ ...options, host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  let answered = 0
  const sockets: WebSocket[] = []
  server.on('connection', (socket) => {
    sockets.push(socket)
    socket.on('message', (frame) => {
      const answers = decodeFrame(frame as Buffer, WIRE_VERSION).map((message): Message => {
        if (message.type !== 'write') throw new InvariantError(`a ${message.type} where writes are sent`)
        return { type: 'answer', request: message.request, code: 0, epoch: message.epoch }
      })
      answered += answers.length
      socket.send(encodeFrame(answers, WIRE_VERSION))
    })
  })
  return {
    address: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async run(untilMs) {
      const before = answered
      await delay(untilMs - performance.now())
      return answered - before
    },
    async close() {
      for (const socket of sockets) socket.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/**
 * Sends frames of `atOnce` writes of 4 KiB. With more than one, two frames are in flight, so that both sides work at
 * the same time; with one it is the round trip that is measured.
 */
export async function websocketClient({ address, atOnce = 1 }: PieceSettings): Promise<Piece> {
  if (address === undefined) throw new InvariantError('a client needs an address')
  const socket = new WebSocket(address, WEBSOCKET_DIAL_OPTIONS)
  await once(socket, 'open')
  const source = new BlockSource()
  let request = 0
  let answered = 0
  let onAnswers: () => void = () => undefined
  socket.on('message', (frame) => {
    answered += decodeFrame(frame as Buffer, WIRE_VERSION).length
    onAnswers()
  })
  const send = () =>
    socket.send(
      encodeFrame(
        Array.from({ length: atOnce }, () => write(++request, source)),
        WIRE_VERSION,
      ),
    )
  return {
    async run(untilMs) {
      const before = answered
      const framesAtOnce = atOnce === 1 ? 1 : 2
      for (let frame = 0; frame < framesAtOnce; frame++) send()
      await new Promise<void>((resolve) => {
        onAnswers = () => {
          if (performance.now() < untilMs) send()
          else if (answered === request) resolve()
        }
      })
      return answered - before
    },
    async close() {
      socket.terminate()
    },
  }
}

function write(request: number, source: BlockSource): Write {
  const { bytes, checksum } = source.next()
  const operation = { session: 1 as SessionId, op: request, lowMark: Math.max(0, request - 64), generation: 1 }
  const offset = (request % 1024) * BLOCK_BYTES
  return {
    type: 'write',
    request,
    extent: EXTENT,
    epoch: EPOCH,
    operation,
    offset,
    checksums: [checksum],
    payload: bytes,
  }
}
