import assert from 'node:assert/strict'
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Random, seedOf } from '../../packages/client/test/nbd/support/random.ts'
import { longest } from '../kit/deadline.ts'
import { DevCluster, run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'
import { succeed } from './client-runs.ts'
import { Exerciser } from './fsx.ts'
import { MOUNT_TOOLS, withMounted } from './mounted.ts'

/** File systems and databases on a volume, while nodes die and come back. */

const SEED = seedOf(20_261_126)
const OPERATIONS = Number(process.env['ASHLAR_FSX_OPERATIONS'] ?? 400)
const COMMITS = Number(process.env['ASHLAR_COMMITS'] ?? 20)

let cluster: DevCluster
let directory: string
before(async () => {
  cluster = await DevCluster.start({ size: '512Mi' })
  directory = await mkdtemp(join(tmpdir(), 'ashlar-files-'))
  // The database runs as another user, which needs access to its files.
  await chmod(directory, 0o755)
})
after(async () => {
  await cluster?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
})

/** With every so many commits one node is killed, after the third, and is back in sync after the last of them. */
const OUTAGE_COMMITS = 10

/**
 * Calls `commit` with 1, 2, 3, … and meanwhile kills one node after the other, first the one that keeps most primaries
 * of the volume, and brings it back.
 */
async function commitThroughOutages(commit: (value: number) => Promise<void>): Promise<void> {
  const primaries = (await cluster.extents()).map(({ primary }) => primary)
  const victims = cluster.info.nodes.map(({ id }) => ({
    id,
    keeps: primaries.filter((primary) => primary === id).length,
  }))
  victims.sort((a, b) => b.keeps - a.keeps)
  for (let outage = 0; outage < COMMITS / OUTAGE_COMMITS; outage++) {
    const victim = victims[outage % victims.length]?.id ?? ''
    for (let phase = 1; phase <= OUTAGE_COMMITS; phase++) {
      await commit(outage * OUTAGE_COMMITS + phase)
      if (phase === 3) await cluster.kill(victim)
    }
    cluster.start(victim)
    await cluster.healthy('demo', 120_000)
  }
}

const FILE_SYSTEMS = {
  ext4: { tools: ['mkfs.ext4', 'e2fsck'], check: (image: string) => ['e2fsck', '-fn', image] },
  xfs: { tools: ['mkfs.xfs', 'xfs_repair'], check: (image: string) => ['xfs_repair', '-n', '-f', image] },
} as const

for (const kind of ['ext4', 'xfs'] as const) {
  const { tools, check } = FILE_SYSTEMS[kind]
  test(`${kind} on a volume holds what random operations wrote, also after it was mounted again (seed ${SEED})`, {
    timeout: longest(900_000),
  }, async (t) => {
    if (!requireTool(t, ...MOUNT_TOOLS, 'nbdcopy', 'fallocate', ...tools)) return
    let exerciser: Exerciser | undefined
    await withMounted(cluster.nbdUri, directory, { format: kind }, async (mounted) => {
      exerciser = await Exerciser.start(mounted, new Random(SEED))
      await exerciser.run(OPERATIONS)
      await exerciser.verify()
      await exerciser.pause()
    })
    const image = join(directory, 'image')
    await succeed('nbdcopy', [cluster.nbdUri, image])
    const [program = '', ...args] = check(image)
    await succeed(program, args)
    await rm(image)
    await withMounted(cluster.nbdUri, directory, {}, async () => {
      await exerciser?.resume()
      await exerciser?.verify()
      await exerciser?.pause()
    })
  })
}

test('sqlite on a volume keeps every commit that it acknowledged while nodes are killed', {
  timeout: longest(900_000),
}, async (t) => {
  if (!requireTool(t, ...MOUNT_TOOLS, 'sqlite3')) return
  const acknowledged: number[] = []
  const sqlite = (database: string, sql: string) => succeed('sqlite3', [database, `PRAGMA synchronous=FULL; ${sql}`])
  await withMounted(cluster.nbdUri, directory, { format: 'ext4' }, async (mounted) => {
    const database = join(mounted, 'log.db')
    await sqlite(database, 'CREATE TABLE log (value INTEGER PRIMARY KEY, text TEXT NOT NULL);')
    await commitThroughOutages(async (value) => {
      await sqlite(database, `INSERT INTO log VALUES (${value}, hex(randomblob(2000)));`)
      acknowledged.push(value)
    })
  })
  await withMounted(cluster.nbdUri, directory, {}, async (mounted) => {
    const database = join(mounted, 'log.db')
    assert.match((await sqlite(database, 'PRAGMA integrity_check;')).stdout, /^ok$/m)
    const { stdout } = await sqlite(database, 'SELECT value FROM log WHERE length(text) = 4000 ORDER BY value;')
    assert.deepEqual(stdout.trim().split('\n').map(Number), acknowledged)
  })
})

/** Folder of PostgreSQL's programs, which Debian keeps off the PATH. */
async function postgresPrograms(): Promise<string | undefined> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => [])
  const [version] = versions.sort((a, b) => Number(b) - Number(a))
  return version === undefined ? undefined : `/usr/lib/postgresql/${version}/bin`
}

/** A server over a directory of the mounted volume; it listens on a unix socket only. */
class Postgres {
  readonly #programs: string
  readonly #data: string
  readonly #sockets: string

  constructor(programs: string, data: string, sockets: string) {
    this.#programs = programs
    this.#data = data
    this.#sockets = sockets
  }

  async create(): Promise<void> {
    const [uid = '', gid = ''] = await Promise.all(
      ['-u', '-g'].map(async (flag) => (await succeed('id', [flag, 'postgres'])).stdout),
    )
    for (const folder of [this.#data, this.#sockets]) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await chown(folder, Number(uid), Number(gid))
    }
    await this.#asPostgres('initdb', ['-D', this.#data, '-A', 'trust', '--no-instructions'])
    const settings = `unix_socket_directories = '${this.#sockets}'\nlisten_addresses = ''\nshared_buffers = 16MB\n`
    await writeFile(join(this.#data, 'postgresql.auto.conf'), settings)
  }

  start(): Promise<void> {
    return this.#asPostgres('pg_ctl', ['-D', this.#data, '-w', '-t', '120', '-l', join(this.#sockets, 'log'), 'start'])
  }

  /** `immediate` ends it as a crash does: the next start recovers from its log. */
  stop(mode: 'fast' | 'immediate'): Promise<void> {
    return this.#asPostgres('pg_ctl', ['-D', this.#data, '-m', mode, '-w', '-t', '120', 'stop'])
  }

  async query(sql: string): Promise<string> {
    const options = ['-h', this.#sockets, '-U', 'postgres', '-d', 'postgres', '-qAt', '-v', 'ON_ERROR_STOP=1']
    return (await succeed(join(this.#programs, 'psql'), [...options, '-c', sql])).stdout.trim()
  }

  async #asPostgres(program: string, args: readonly string[]): Promise<void> {
    // Its output goes to files: a server that it starts would keep pipes open.
    const command = `exec "$@" > '${join(this.#sockets, 'out')}' 2>&1`
    await succeed('runuser', [
      '-u',
      'postgres',
      '--',
      'sh',
      '-c',
      command,
      'sh',
      join(this.#programs, program),
      ...args,
    ])
  }
}

test('PostgreSQL on a volume keeps every commit that it acknowledged while nodes are killed and it crashes itself', {
  timeout: longest(900_000),
}, async (t) => {
  const programs = await postgresPrograms()
  if (!requireTool(t, ...MOUNT_TOOLS, 'runuser', ...(programs === undefined ? ['initdb'] : []))) return
  const acknowledged: number[] = []
  await withMounted(cluster.nbdUri, directory, { format: 'ext4' }, async (mounted) => {
    await chmod(mounted, 0o755)
    const postgres = new Postgres(programs ?? '', join(mounted, 'data'), join(directory, 'sockets'))
    await postgres.create()
    await postgres.start()
    try {
      await postgres.query('CREATE TABLE log (value integer PRIMARY KEY, text text NOT NULL)')
      await commitThroughOutages(async (value) => {
        await postgres.query(`INSERT INTO log VALUES (${value}, repeat(md5('${value}'), 50))`)
        acknowledged.push(value)
      })
      await postgres.stop('immediate')
      await postgres.start()
      const found = await postgres.query(
        'SELECT value FROM log WHERE text = repeat(md5(value::text), 50) ORDER BY value',
      )
      assert.deepEqual(found.split('\n').map(Number), acknowledged)
    } finally {
      await postgres.stop('fast').catch(() => run('sync', []))
    }
  })
})
