import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AshlarError, InvariantError, MIB } from '@ashlar/proto'
import { runFio } from '../fio.ts'
import { type Job, type JobFile, parseJobFile } from '../jobs.ts'
import { CpuSampler } from '../processes.ts'
import { Worker } from './crew.ts'
import { mediansOf, type PieceContext, type PieceResult, type WorkerFigures } from './piece.ts'

const MEMORY_BYTES = 256 * MIB
const FIO_EXTRA_MS = 60_000
const START_MS = 10_000

/** A process that serves one device in memory over NBD on a unix socket. */
interface NbdServerProcess {
  readonly name: string
  readonly uri: string
  readonly pid: number
  end(): Promise<void>
}

/** What the NBD server costs without a cluster behind it. */
export async function nbdAlone(context: PieceContext): Promise<PieceResult[]> {
  const results: PieceResult[] = []
  for (const job of ['randwrite-4k-qd32', 'randread-4k-qd32']) {
    results.push(...(await measureInTurns(context, job, [startAshlar])))
  }
  return results
}

/**
 * The same beside nbdkit with its memory plugin, which is written in C: both run, and are measured in turns A B A B.
 */
export async function nbdBesideNbdkit(context: PieceContext): Promise<PieceResult[]> {
  const results: PieceResult[] = []
  for (const job of ['randread-4k-qd32', 'seqread-1m-qd8']) {
    const [ashlar, nbdkit] = await measureInTurns(context, job, [startAshlar, startNbdkit])
    if (ashlar === undefined || nbdkit === undefined) throw new InvariantError('two servers were measured')
    const ratio = ashlar.operationsPerSecond / nbdkit.operationsPerSecond
    context.log(`${job}: ${ratio.toFixed(2)} of nbdkit`)
    results.push({ ...ashlar, ofNext: ratio }, nbdkit)
  }
  return results
}

type StartServer = (context: PieceContext, sizeBytes: number) => Promise<NbdServerProcess>

async function measureInTurns(
  context: PieceContext,
  jobName: string,
  starts: readonly StartServer[],
): Promise<PieceResult[]> {
  const { options, log } = context
  const file = parseJobFile(await readFile(new URL('../jobs.fio', import.meta.url), 'utf8'))
  const jobOf = (wanted: string): Job => {
    const job = file.jobs.find(({ name }) => name === wanted)
    if (job === undefined) throw new InvariantError(`jobs.fio has no job ${wanted}`)
    return job
  }
  const sizeBytes = Math.min(MEMORY_BYTES, options.sizeBytes)
  const servers: NbdServerProcess[] = []
  try {
    for (const start of starts) servers.push(await start(context, sizeBytes))
    // Memory is taken at the first write of each place, which is not what is to be measured.
    for (const server of servers) await runOnce(context, file, jobOf('fill'), server, sizeBytes)
    const rounds = servers.map((): WorkerFigures[] => [])
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      for (const [at, server] of servers.entries()) {
        rounds[at]?.push(await runOnce(context, file, jobOf(jobName), server, sizeBytes))
      }
    }
    return servers.map(({ name }, at) => {
      const figures = mediansOf((rounds[at] ?? []).map((round) => [round]))
      const result = { name: `${name} over memory, ${jobName}`, together: 1, ...figures }
      log(
        `${result.name}: ${Math.round(result.operationsPerSecond)} a second, ${result.cpuUs.toFixed(1)} us CPU of the server`,
      )
      return result
    })
  } finally {
    for (const server of servers) await server.end()
  }
}

async function runOnce(
  { options, signal }: PieceContext,
  file: JobFile,
  job: Job,
  server: NbdServerProcess,
  sizeBytes: number,
): Promise<WorkerFigures> {
  const sampler = new CpuSampler([{ name: server.name, pid: server.pid }])
  sampler.start()
  const overrides = new Map([
    ['ioengine', 'nbd'],
    ['uri', server.uri],
    ['size', `${sizeBytes}`],
    ['runtime', `${options.seconds}`],
  ])
  const timeoutMs = options.seconds * 1000 + FIO_EXTRA_MS
  const fio = await runFio(job, { global: file.global, overrides, environment: {}, timeoutMs, signal }).finally(() =>
    sampler.end(),
  )
  const cpu = sampler.between(fio.endedAtMs - fio.runtimeSeconds * 1000, fio.endedAtMs)
  return { operations: fio.operations, seconds: fio.runtimeSeconds, cpuSeconds: cpu.processes[0] ?? 0 }
}

async function startAshlar({ signal }: PieceContext, sizeBytes: number): Promise<NbdServerProcess> {
  const worker = await Worker.start('nbd-server', { sizeBytes }, signal)
  return { name: 'NBD server', uri: worker.address, pid: worker.pid, end: () => worker.end() }
}

async function startNbdkit(_context: PieceContext, sizeBytes: number): Promise<NbdServerProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-nbdkit-'))
  const socket = join(directory, 'socket')
  const child = spawn('nbdkit', ['--foreground', '--unix', socket, 'memory', `${sizeBytes}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const end = async (): Promise<void> => {
    await ended(child)
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await listening(child, socket)
  } catch (error) {
    await end()
    throw error
  }
  return { name: 'nbdkit', uri: `nbd+unix:///?socket=${socket}`, pid: child.pid ?? 0, end }
}

async function listening(child: ChildProcess, socket: string): Promise<void> {
  const failed = once(child, 'exit').then(
    ([code]) => `nbdkit ended with ${code}`,
    (error: Error) => `nbdkit does not run: ${error.message}; install it to compare with it`,
  )
  const deadline = performance.now() + START_MS
  while ((await stat(socket).catch(() => undefined)) === undefined) {
    const reason = await Promise.race([failed, delay(20, undefined)])
    if (reason !== undefined) throw new AshlarError('INTERNAL', reason)
    if (performance.now() > deadline)
      throw new AshlarError('INTERNAL', `nbdkit does not listen within ${START_MS / 1000} s`)
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await exit
}
