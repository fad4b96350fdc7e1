import assert from 'node:assert/strict'
import {
  type BlockDevice,
  type CloseReason,
  deviceExports,
  type ExportProvider,
  type FinishedRequest,
  MemoryDevice,
  type NbdServer,
  type NbdServerOptions,
  serveNbd,
} from '@ashlar/client/nbd'
import { MIB } from '@ashlar/proto'
import { RawClient } from './raw-client.ts'

/** What a server under test told its observer. */
export interface Observed {
  readonly closed: CloseReason[]
  readonly refused: string[]
  readonly paused: string[]
  readonly finished: FinishedRequest[]
  readonly lost: string[]
}

export interface TestServer {
  readonly server: NbdServer
  readonly device: BlockDevice
  readonly observed: Observed
  /** Clients through the handshake; closed with the server. */
  attach(options?: Parameters<typeof RawClient.attach>[1]): Promise<RawClient>
  /** A client that has only connected. */
  connect(): Promise<RawClient>
}

export interface TestServerOptions extends Partial<NbdServerOptions> {
  /** Served as `vol`; 16 MiB of memory unless given. */
  readonly device?: BlockDevice
  readonly exports?: ExportProvider
  /** Opened before the server is closed, so that a test that fails does not hang. */
  readonly gate?: Gate
}

/** Runs a test against a server of its own on a free port, and closes everything afterwards. */
export async function withServer(options: TestServerOptions, use: (test: TestServer) => Promise<void>): Promise<void> {
  const { device = new MemoryDevice({ sizeBytes: 16 * MIB }), exports, gate, ...rest } = options
  const observed: Observed = { closed: [], refused: [], paused: [], finished: [], lost: [] }
  const server = await serveNbd(exports ?? deviceExports([{ name: 'vol', device }]), {
    listen: '127.0.0.1:0',
    observer: {
      connectionClosed: (reason) => observed.closed.push(reason),
      connectionRefused: (limit) => observed.refused.push(limit),
      inputPaused: (limit) => observed.paused.push(limit),
      requestFinished: (request) => observed.finished.push(request),
      exportLost: (name) => observed.lost.push(name),
    },
    ...rest,
  })
  const clients: RawClient[] = []
  const remember = (client: RawClient): RawClient => {
    clients.push(client)
    return client
  }
  try {
    await use({
      server,
      device,
      observed,
      attach: async (attach) => remember(await RawClient.attach(server.addresses[0], attach)),
      connect: async () => remember(await RawClient.connect(server.addresses[0])),
    })
  } finally {
    gate?.open()
    for (const client of clients) client.destroy()
    await server.close()
  }
}

/** Waits until the condition holds, looking again whenever the event loop has turned; fails after the deadline. */
export async function eventually(what: string, condition: () => boolean, deadlineMs = 10_000): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (!condition()) {
    assert.ok(performance.now() < deadline, `${what} within ${deadlineMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** A device whose calls wait until the test lets them go. */
export class Gate {
  readonly waiting: { readonly name: string; readonly offset: number; readonly go: (error?: Error) => void }[] = []
  #open = false

  /** For `holdFilter`: resolves when the test lets this call go. */
  pass(name: string, offset: number): Promise<void> {
    if (this.#open) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.waiting.push({ name, offset, go: (error) => (error === undefined ? resolve() : reject(error)) })
    })
  }

  /** Lets every call go, those that wait and those to come. */
  open(): void {
    this.#open = true
    for (const call of this.waiting.splice(0)) call.go()
  }
}

/** The same device, with the named calls held at the gate before they take effect. */
export function held(device: BlockDevice, gate: Gate, names: readonly string[]): BlockDevice {
  const pass = (name: string, offset = 0): Promise<void> =>
    names.includes(name) ? gate.pass(name, offset) : Promise.resolve()
  return {
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    readOnly: device.readOnly,
    fastZero: device.fastZero,
    read: async (offset, length, options) => {
      await pass('read', offset)
      return device.read(offset, length, options)
    },
    write: async (offset, bytes, options) => {
      await pass('write', offset)
      await device.write(offset, bytes, options)
    },
    flush: async (options) => {
      await pass('flush')
      await device.flush(options)
    },
    trim: async (offset, length, options) => {
      await pass('trim', offset)
      await device.trim(offset, length, options)
    },
    writeZeroes: async (offset, length, options) => {
      await pass('writeZeroes', offset)
      await device.writeZeroes(offset, length, options)
    },
    allocation: (offset, length, options) => device.allocation(offset, length, options),
    close: () => device.close(),
  }
}
