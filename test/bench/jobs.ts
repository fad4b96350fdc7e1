import { parseBytes } from '@ashlar/node/config'
import { AshlarError, type Bytes, KIB } from '@ashlar/proto'

/** Settings of one section of a job file, in its order. */
export type Settings = ReadonlyMap<string, string>

export interface Job {
  readonly name: string
  readonly kind: 'read' | 'write' | 'mixed'
  readonly blockSizeBytes: Bytes
  readonly settings: Settings
}

/** A job file of fio: what all jobs share, and the jobs in order. */
export interface JobFile {
  readonly global: Settings
  readonly jobs: readonly Job[]
}

/** Throws USAGE for a line or a job that it does not understand. */
export function parseJobFile(text: string): JobFile {
  const sections = new Map<string, Map<string, string>>()
  let section: Map<string, string> | undefined
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    if (line === '' || line.startsWith(';') || line.startsWith('#')) continue
    const [, name] = /^\[(.+)\]$/.exec(line) ?? []
    if (name !== undefined) {
      section = new Map()
      sections.set(name, section)
      continue
    }
    const equals = line.indexOf('=')
    if (equals < 1 || section === undefined) throw new AshlarError('USAGE', `job file: cannot read the line "${line}"`)
    section.set(line.slice(0, equals), line.slice(equals + 1))
  }
  const global = sections.get('global') ?? new Map()
  sections.delete('global')
  return { global, jobs: [...sections].map(([name, settings]) => readJob(name, settings)) }
}

const KINDS: Readonly<Record<string, Job['kind']>> = {
  read: 'read',
  randread: 'read',
  write: 'write',
  randwrite: 'write',
  rw: 'mixed',
  randrw: 'mixed',
}

function readJob(name: string, settings: Settings): Job {
  const kind = KINDS[settings.get('rw') ?? '']
  if (kind === undefined) throw new AshlarError('USAGE', `job ${name}: rw=${settings.get('rw')} is unknown`)
  return { name, kind, blockSizeBytes: fioBytes(name, settings.get('bs')), settings }
}

/** fio's `4k` and `1m` are powers of two. */
function fioBytes(job: string, value: string | undefined): Bytes {
  const [, number, unit] = /^(\d+)([kmg])$/i.exec(value ?? '') ?? []
  if (number === undefined || unit === undefined) {
    throw new AshlarError('USAGE', `job ${job}: bs=${value} is not a size such as 4k or 1m`)
  }
  return parseBytes(`${number}${unit.toUpperCase()}i`)
}

/**
 * One random overwrite of the whole device, each block once: after it a store is in the state that random writes leave
 * behind, and not in the one of a sequential fill, which is the best that it will ever see.
 */
export const OVERWRITE: Job = {
  name: 'overwrite',
  kind: 'write',
  blockSizeBytes: 4 * KIB,
  settings: new Map([
    ['rw', 'randwrite'],
    ['bs', '4k'],
    ['iodepth', '32'],
    ['time_based', '0'],
    ['ramp_time', '0'],
    ['norandommap', '0'],
  ]),
}

/**
 * A job file of this one job. fio lets a file win over its command line, so what is to be different has to be in the
 * file: `overrides` win over the settings that all jobs share, the job's own over those.
 */
export function writeJobFile(global: Settings, job: Job, overrides: Settings): string {
  const lines = (settings: Settings) => [...settings].map(([key, value]) => `${key}=${value}`)
  const shared = new Map([...global, ...overrides])
  return ['[global]', ...lines(shared), `[${job.name}]`, ...lines(job.settings), ''].join('\n')
}
