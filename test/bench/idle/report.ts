import { type Bytes, MIB } from '@ashlar/proto'
import { layOutTable } from '../report.ts'

export interface IdleProcess {
  readonly name: string
  /** Of one processor. */
  readonly cpuShare: number
  /** Median over the time that it was watched. */
  readonly anonymousBytes: Bytes
}

export interface IdleCluster {
  readonly processes: readonly IdleProcess[]
  /** Processors that were busy with other work. */
  readonly otherProcessors: number
}

export interface IdleResult {
  readonly volumes: number
  readonly extents: number
  readonly seconds: number
  /** The cluster before it had a volume. */
  readonly without: IdleCluster
  /** With the volumes, and the process that holds them as `holder`. */
  readonly with: IdleCluster
}

/** CPU of one processor that a node may use while its volumes are idle. */
const NODE_CPU_BOUND = 0.005
/** Anonymous memory that all processes that serve may need more than without volumes. */
const MEMORY_BOUND_BYTES: Bytes = 40 * MIB

const HEADER = ['PROCESS', 'CPU % WITHOUT', 'CPU % WITH', 'MORE', 'ANON MiB WITHOUT', 'ANON MiB WITH', 'MORE']

/** Each process before and after, the sum of those that serve, and what of it is over its bound. */
export function idleTable(result: IdleResult): string {
  const served = result.without.processes.map((before) => {
    const after = result.with.processes.find(({ name }) => name === before.name) ?? before
    return { name: before.name, before, after }
  })
  const sum = (of: 'before' | 'after'): IdleProcess => ({
    name: 'all that serve',
    cpuShare: served.reduce((total, row) => total + row[of].cpuShare, 0),
    anonymousBytes: served.reduce((total, row) => total + row[of].anonymousBytes, 0),
  })
  const rows = [...served, { name: 'all that serve', before: sum('before'), after: sum('after') }].map(
    ({ name, before, after }) => [
      name,
      ...[before.cpuShare, after.cpuShare, after.cpuShare - before.cpuShare].map(percent),
      ...[before.anonymousBytes, after.anonymousBytes, after.anonymousBytes - before.anonymousBytes].map(mebibytes),
    ],
  )
  const holder = result.with.processes.find(({ name }) => name === 'holder')
  if (holder !== undefined) {
    rows.push(['holder', '', percent(holder.cpuShare), '', '', mebibytes(holder.anonymousBytes), ''])
  }
  const others = `others kept ${result.without.otherProcessors.toFixed(1)} and ${result.with.otherProcessors.toFixed(1)} processors busy`
  return `${result.volumes} volumes of ${result.extents} extents, ${result.seconds} s each; ${others}\n${layOutTable(HEADER, rows)}${verdicts(result)}`
}

/** A line for each bound. */
function verdicts(result: IdleResult): string {
  const moreShare = Math.max(
    ...result.with.processes.flatMap((after) => {
      const before = result.without.processes.find(({ name }) => name === after.name)
      return before === undefined || !/^n\d+$/.test(after.name) ? [] : [after.cpuShare - before.cpuShare]
    }),
  )
  const bytes = ({ processes }: IdleCluster) =>
    processes.reduce((sum, { name, anonymousBytes }) => sum + (name === 'holder' ? 0 : anonymousBytes), 0)
  const moreBytes = bytes(result.with) - bytes(result.without)
  const line = (what: string, value: string, bound: string, met: boolean) =>
    `${what}: ${value}, bound ${bound}: ${met ? 'met' : 'NOT MET'}\n`
  return [
    line(
      'most CPU that a node uses more',
      `${percent(moreShare)} %`,
      `${percent(NODE_CPU_BOUND)} %`,
      moreShare < NODE_CPU_BOUND,
    ),
    line(
      'memory that all need more',
      `${mebibytes(moreBytes)} MiB`,
      `${mebibytes(MEMORY_BOUND_BYTES)} MiB`,
      moreBytes < MEMORY_BOUND_BYTES,
    ),
  ].join('')
}

function percent(share: number): string {
  return (share * 100).toFixed(2)
}

function mebibytes(bytes: Bytes): string {
  return (bytes / MIB).toFixed(1)
}
