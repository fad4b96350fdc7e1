import { fileURLToPath } from 'node:url'
import { AshlarError } from '@ashlar/proto'
import type { DelayOptions, DelayReport } from '../../cluster/net/delay.ts'
import { namespacesUnavailable } from '../../cluster/net/namespaces.ts'
import { runInNetwork } from '../../cluster/net/run.ts'
import type { BenchOptions } from '../options.ts'

const PROGRAM = fileURLToPath(new URL('../../cluster/net/bin/delay.ts', import.meta.url))
const ONE_WAY_MS = [0, 0.5, 5]
/** Enough for the p99 of a turn behind the longest delay. */
const LEAST_OPERATIONS = 100

/**
 * Measures writes and reads of one block, one at a time, on nodes and a client in network namespaces of their own,
 * behind wires that delay every packet. Each delay has `options.repeats` turns of `options.seconds` for writes and as
 * much for reads. Throws USAGE, with its reason, where this machine cannot have such networks.
 */
export async function runDelay(
  { nodes, repeats, seconds, directory }: BenchOptions,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<DelayReport> {
  const unavailable = namespacesUnavailable()
  if (unavailable !== undefined) throw new AshlarError('USAGE', `delay: ${unavailable}`)
  log(`measuring ${nodes} nodes behind delays of ${ONE_WAY_MS.join(', ')} ms, in ${repeats} turns of ${seconds} s each`)
  const options = { oneWayMs: ONE_WAY_MS, turns: repeats, operations: LEAST_OPERATIONS, turnMs: seconds * 1000 }
  const inside = { program: PROGRAM, options, nodes, parentDirectory: directory }
  return await runInNetwork<DelayOptions, DelayReport>(inside, () => false, log, signal)
}
