import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { type AnyMessage, WIRE_VERSION } from '@ashlar/proto'
import { decodeFrame, HANDSHAKE_WIRE_VERSION } from '@ashlar/proto/codec'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'

const BLOCK = 4096
const WRITES = 50

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start()
})
after(() => cluster?.stop())

/** One finished system call of the traced node, in the order in which they ended. */
interface Call {
  readonly name: string
  readonly target: string
  readonly bytes: Buffer
  readonly failed: boolean
}

/**
 * Reads strace's output. A call that was interrupted by another thread's is printed in two lines; it counts where it
 * ended, which is the later and so the careful reading for fdatasync, and is corrected for writes, which count where they began.
 */
function parseTrace(text: string): Call[] {
  const unfinished = new Map<string, { line: string; at: number }>()
  const calls: (Call | undefined)[] = []
  for (const line of text.split('\n')) {
    const started = /^(\d+)\s+(.*)<unfinished \.\.\.>$/.exec(line)
    if (started?.[1] !== undefined && started[2] !== undefined) {
      unfinished.set(started[1], { line: started[2], at: calls.length })
      calls.push(undefined)
      continue
    }
    const resumed = /^(\d+)\s+<\.\.\. \w+ resumed>(.*)$/.exec(line)
    const before = resumed?.[1] === undefined ? undefined : unfinished.get(resumed[1])
    const whole = before === undefined ? line.replace(/^\d+\s+/, '') : before.line + (resumed?.[2] ?? '')
    const call = /^(\w+)\((\d+)<([^>]*)>(.*)\)\s+=\s+(-?\d+)/.exec(whole)
    if (call?.[1] === undefined) continue
    // writev gathers several pieces: they go out one behind the other.
    const pieces = [...(call[4] ?? '').matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((piece) => fromHex(piece[1] ?? ''))
    const parsed = {
      name: call[1],
      target: fromHex(call[3] ?? '').toString(),
      bytes: Buffer.concat(pieces),
      failed: Number(call[5]) < 0,
    }
    if (before !== undefined && parsed.name !== 'fdatasync') calls[before.at] = parsed
    else calls.push(parsed)
  }
  return calls.filter((call) => call !== undefined)
}

/** With -xx strace writes every byte as \x41, in paths too. */
function fromHex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

/**
 * Highest seq that a call acknowledges: frames of an accepted connection are not masked, and several may leave at once.
 * Only sockets count: a record of a LevelDB log begins with a checksum, which is any byte, that of a frame too.
 */
function acknowledged(call: Call): number {
  if (!/^(TCP|socket)/.test(call.target)) return 0
  let highest = 0
  for (let at = 0; call.bytes[at] === 0x82 && at + 2 < call.bytes.length; ) {
    const short = call.bytes[at + 1] ?? 0
    if (short > 126) return highest
    const start = at + (short === 126 ? 4 : 2)
    const end = start + (short === 126 ? call.bytes.readUInt16BE(at + 2) : short)
    if (end > call.bytes.length) return highest
    for (const message of decoded(call.bytes.subarray(start, end)))
      if (message.type === 'ack' && message.seq > highest) highest = message.seq
    at = end
  }
  return highest
}

/** The tracer comes late, and so sees frames of links whose handshake it missed: a frame names its own version. */
function decoded(frame: Uint8Array): AnyMessage[] {
  const bytes = new Uint8Array(frame)
  return decodeFrame(bytes, bytes[8] === HANDSHAKE_WIRE_VERSION ? HANDSHAKE_WIRE_VERSION : WIRE_VERSION)
}

async function attach(pid: number, file: string): Promise<ChildProcess> {
  const tracer = spawn(
    'strace',
    ['-f', '-y', '-xx', '-s', '16384', '-e', 'trace=write,writev,pwrite64,fdatasync', '-o', file, '-p', `${pid}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  tracer.stderr?.on('data', (chunk) => {
    said += chunk
  })
  await eventually('strace is attached', async () => (said.includes('attached') ? true : undefined))
  return tracer
}

test('a live replica acknowledges no write before the fdatasync that covers it has ended', {
  timeout: longest(120_000),
}, async (t) => {
  if (!requireTool(t, 'strace')) return
  const [extent] = await cluster.healthy()
  const replica = cluster.info.nodes.find((node) => node.id !== extent?.primary)
  assert.ok(replica !== undefined)
  await using client = await connect({ servers: cluster.info.nodes.map((node) => node.peer) })
  await using volume = await client.openVolume('demo')
  await volume.write(0, new Uint8Array(BLOCK))
  const trace = join(cluster.directory, 'trace')
  const tracer = await attach(replica.pid, trace)
  const stamps: Buffer[] = []
  for (let at = 0; at < WRITES; at++) {
    const bytes = randomBytes(BLOCK)
    stamps.push(bytes.subarray(0, 16))
    await volume.write(at * BLOCK, bytes)
  }
  const ended = new Promise((resolve) => tracer.once('exit', resolve))
  tracer.kill('SIGINT')
  await ended

  const calls = parseTrace(await readFile(trace, 'latin1'))
  const acks = calls.map(acknowledged)
  const firstSeq = Math.min(...acks.filter((seq) => seq > 0))
  assert.ok(Number.isFinite(firstSeq), 'the trace shows acknowledgements')
  stamps.forEach((stamp, at) => {
    const logged = calls.findIndex(
      (call) => call.name.startsWith('write') && call.target.endsWith('.log') && call.bytes.includes(stamp),
    )
    assert.ok(logged >= 0, `write ${at} reached a LevelDB log`)
    const synced = calls.findIndex(
      (call, index) =>
        index > logged && call.name === 'fdatasync' && !call.failed && call.target === calls[logged]?.target,
    )
    const acknowledgedAt = acks.findIndex((seq) => seq >= firstSeq + at)
    assert.ok(synced > logged, `write ${at} was synced`)
    assert.ok(
      acknowledgedAt > synced,
      `write ${at} (seq ${firstSeq + at}) was acknowledged at call ${acknowledgedAt}, synced at ${synced}`,
    )
  })
})
