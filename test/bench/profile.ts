import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobResult } from './measure.ts'
import type { MeasuredProcess } from './processes.ts'
import { layOutTable } from './report.ts'

/** The part of V8's CPU profile that is used. Times are microseconds of the monotonic clock. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** CPU of the main thread for each operation, of one process under one job. */
export interface ProfiledJob {
  readonly job: string
  readonly process: string
  /** By function, the most expensive first. */
  readonly functions: readonly ProfiledCost[]
  /** By room of the sources, by package, or by what V8 and the kernel did. */
  readonly parts: readonly ProfiledCost[]
}

export interface ProfiledCost {
  readonly name: string
  readonly us: number
}

const FUNCTIONS = 40

/**
 * Reads the profiles of processes that have ended, each cut to the windows in which the runs of a job were measured.
 */
export async function profileJobs(
  directory: string,
  processes: readonly MeasuredProcess[],
  results: readonly JobResult[],
): Promise<ProfiledJob[]> {
  const files = await readdir(directory)
  const found: ProfiledJob[] = []
  for (const { name, pid } of processes) {
    // CPU.<date>.<time>.<pid>.<thread>.<number>.cpuprofile
    const file = files.find((candidate) => candidate.split('.')[3] === `${pid}` && candidate.endsWith('.cpuprofile'))
    if (file === undefined) continue
    const profile = JSON.parse(await readFile(join(directory, file), 'utf8')) as CpuProfile
    for (const { job, subject, runs } of results) {
      if (subject !== 'ashlar') continue
      const windows = runs.map(({ window }) => ({ from: monotonicUs(window.fromMs), to: monotonicUs(window.toMs) }))
      const operations = runs.reduce((sum, run) => sum + run.operations, 0)
      found.push({ job, process: name, ...selfTimes(profile, windows, operations) })
    }
  }
  return found
}

/** Microseconds of the monotonic clock, which profiles use, at a moment of the wall clock. */
function monotonicUs(wallMs: number): number {
  return Number(process.hrtime.bigint() / 1000n) - (Date.now() - wallMs) * 1000
}

/** Self time by function and by part within windows, divided by a number of operations. */
export function selfTimes(
  profile: CpuProfile,
  windows: readonly { readonly from: number; readonly to: number }[],
  operations: number,
): Pick<ProfiledJob, 'functions' | 'parts'> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
  const functions = new Map<string, number>()
  const parts = new Map<string, number>()
  let at = profile.startTime
  profile.samples.forEach((id, index) => {
    const us = profile.timeDeltas[index] ?? 0
    at += us
    const frame = nodes.get(id)
    if (frame === undefined || !windows.some(({ from, to }) => at >= from && at < to)) return
    add(functions, functionName(frame), us / operations)
    add(parts, partOf(frame), us / operations)
  })
  return { functions: ranked(functions).slice(0, FUNCTIONS), parts: ranked(parts) }
}

type Frame = CpuProfile['nodes'][number]['callFrame']

function functionName({ functionName, url, lineNumber }: Frame): string {
  if (url === '') return functionName === '' ? '(anonymous)' : functionName
  return `${functionName === '' ? '(anonymous)' : functionName} ${shortUrl(url)}:${lineNumber + 1}`
}

function shortUrl(url: string): string {
  return url.replace(/^.*\/node_modules\//, '').replace(/^.*\/packages\//, '')
}

/** `node/storage`, `client/nbd`, `ws`, `node:`, `(garbage collector)`, `(native)`. */
function partOf({ functionName, url }: Frame): string {
  if (url === '') return functionName.startsWith('(') ? functionName : `(native) ${functionName}`
  if (url.startsWith('node:')) return 'node:'
  const [, ours, room] = /\/packages\/([a-z]+)\/(?:dist|src)\/(.+)$/.exec(url) ?? []
  if (ours !== undefined && room !== undefined) return [ours, ...room.split('/').slice(0, -1)].slice(0, 3).join('/')
  return shortUrl(url).split('/')[0] ?? url
}

function add(sums: Map<string, number>, name: string, us: number): void {
  sums.set(name, (sums.get(name) ?? 0) + us)
}

function ranked(sums: ReadonlyMap<string, number>): ProfiledCost[] {
  return [...sums].map(([name, us]) => ({ name, us })).sort((a, b) => b.us - a.us)
}

const ROWS = 15

export function profileTable(profiles: readonly ProfiledJob[]): string {
  return profiles
    .map(({ job, process, functions, parts }) => {
      const rows = (costs: readonly ProfiledCost[]) => costs.slice(0, ROWS).map(({ name, us }) => [name, us.toFixed(2)])
      const tables = [layOutTable(['PART', 'us'], rows(parts)), layOutTable(['FUNCTION', 'us'], rows(functions))]
      return `${process} under ${job}, main thread, microseconds an operation\n${tables.join('\n')}`
    })
    .join('\n')
}
