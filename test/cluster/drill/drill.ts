import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@ashlar/client'
import { type DevCluster, eventually, run } from '../../kit/dev-cluster.ts'

const ROOT = join(import.meta.dirname, '../../..')
const PAGES = join(ROOT, 'docs/operating')
const ASHLAR = join(ROOT, 'packages/cli/bin/ashlar.mjs')
/** An operator at night types no more than that. */
const MOST_COMMANDS = 6
const BLOCK = 4096
const BLOCKS = 32
/** These only look: a page may name them without the product. */
const LOOKS =
  /^ashlar (?:gateway ls|cluster (?:info|wait|leader show|check)|explain|dev logs|node ls|volume (?:ls|describe)|extent ls) ?/

/** A page of docs/operating about one symptom: what it quotes of the product, and the commands that it gives. */
export interface Page {
  readonly name: string
  readonly quotes: readonly string[]
  readonly commands: readonly string[]
}

/** `names`: what stands in place of words of the page, as DIR, PID or the names of nodes. */
export async function readPage(name: string, names: Readonly<Record<string, string>>): Promise<Page> {
  const text = await readFile(join(PAGES, `${name}.md`), 'utf8')
  const substituted = (line: string) => line.replace(/\b(?:DIR|PID)\b/g, (word) => names[word] ?? word)
  const fences = [...text.matchAll(/^```(sh|text)\n(.*?)^```$/gms)].map(([, kind, body = '']) => ({
    kind,
    lines: body
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map(substituted),
  }))
  const of = (kind: string) => fences.filter((fence) => fence.kind === kind).flatMap(({ lines }) => lines)
  return { name, quotes: of('text').map((line) => line.trim()), commands: of('sh') }
}

/** An operator who has the command, Linux tools and a page, and a cluster that a test broke. */
export class Operator {
  private readonly cluster: DevCluster
  private readonly bin: string
  private written: readonly Uint8Array[] = []
  /** Everything that the product printed since the cluster was broken. */
  private printed = ''

  private constructor(cluster: DevCluster, bin: string) {
    this.cluster = cluster
    this.bin = bin
  }

  static async at(cluster: DevCluster): Promise<Operator> {
    const bin = await mkdtemp(join(tmpdir(), 'ashlar-drill-'))
    const script = join(bin, 'ashlar')
    await writeFile(script, `#!/bin/sh\nexec '${process.execPath}' '${ASHLAR}' "$@"\n`)
    await chmod(script, 0o755)
    return new Operator(cluster, bin)
  }

  async leave(): Promise<void> {
    await rm(this.bin, { recursive: true })
  }

  /** New bytes in the volume: the same must be there once it is repaired. */
  async writeData(volume = 'demo'): Promise<readonly Uint8Array[]> {
    const blocks = Array.from({ length: BLOCKS }, () => new Uint8Array(randomBytes(BLOCK)))
    await using client = await connect({ servers: this.servers, ioTimeoutMs: 60_000 })
    await using opened = await client.openVolume(volume)
    await Promise.all(blocks.map((bytes, at) => opened.write(at * BLOCK, bytes)))
    this.written = blocks
    this.printed = ''
    return blocks
  }

  async assertData(volume = 'demo'): Promise<void> {
    await using client = await connect({ servers: this.servers, ioTimeoutMs: 60_000 })
    await using opened = await client.openVolume(volume, { mode: 'read-only' })
    for (const [at, bytes] of this.written.entries())
      assert.deepEqual(Buffer.from(await opened.read(at * BLOCK, BLOCK)), Buffer.from(bytes), `block ${at}`)
  }

  /** One command as a shell runs it. What it prints counts as said by the product. */
  async type(command: string, expected: readonly number[] = [0]): Promise<string> {
    const { code, stdout, stderr } = await run('sh', ['-c', command], { env: this.environment })
    const said = `${stdout}${stderr}`
    this.printed += `\n$ ${command}\n${said}`
    assert.ok(expected.includes(code ?? -1), `${command}: exits ${code}\n${this.printed}`)
    return said
  }

  /** Repeats a command that only looks, until it says what is to be seen. */
  async see(command: string, what: RegExp): Promise<void> {
    assert.match(command, LOOKS)
    let last = ''
    await eventually(`${command} prints ${what}`, async () => {
      const before = this.printed
      last = await this.type(command)
      if (what.test(last)) return true
      this.printed = before
      return undefined
    }).catch((cause) => assert.fail(`${cause}; the last answer was\n${last}`))
  }

  /**
   * Runs the commands of a page, one after the other. One that changes something must have been printed by the product
   * before, unless only a person can know it (`own`). Then all that the page quotes was printed, and the data is there.
   */
  async follow(
    page: Page,
    options: { own?: readonly RegExp[]; exits?: Readonly<Record<string, number>> } = {},
  ): Promise<void> {
    const { own = [], exits = {} } = options
    const { commands, quotes, name } = page
    assert.ok(commands.length > 0 && commands.length <= MOST_COMMANDS, `${name} has ${commands.length} commands`)
    for (const command of commands) {
      if (!LOOKS.test(command) && !own.some((pattern) => pattern.test(command)))
        assert.ok(this.wasPrinted(command), `${name}: nothing printed \`${command}\`\n${this.printed}`)
      const expected = Object.entries(exits).find(([part]) => command.includes(part))?.[1] ?? 0
      await this.type(command, [0, expected])
    }
    for (const quote of quotes)
      assert.match(this.printed, patternOf(quote), `${name} quotes what was not printed: ${quote}\n${this.printed}`)
  }

  /** As a whole action: what follows the command on its line is the end of a sentence at most. */
  private wasPrinted(command: string): boolean {
    return this.printed
      .split('\n')
      .filter((line) => !line.startsWith('$ '))
      .some((line) => {
        const at = line.indexOf(command)
        return at >= 0 && /^(?:$|[;)])/.test(line.slice(at + command.length))
      })
  }

  /** A command that goes on: it is ended with all that it started. */
  start(command: string): AsyncDisposable & { readonly pid: number; readonly ended: Promise<void> } {
    const env = { ...process.env, ...this.environment }
    const child = spawn('sh', ['-c', command], { env, detached: true, stdio: 'ignore' })
    const { pid } = child
    assert.ok(pid !== undefined, command)
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    const end = async (): Promise<void> => {
      if (child.exitCode === null && child.signalCode === null) process.kill(-pid, 'SIGKILL')
      await ended
    }
    return { pid, ended, [Symbol.asyncDispose]: end }
  }

  private get environment(): Record<string, string> {
    return {
      PATH: `${this.bin}:${process.env['PATH'] ?? ''}`,
      ASHLAR_SERVER: this.cluster.info.nodes.map(({ api }) => api).join(','),
    }
  }

  private get servers(): string[] {
    return this.cluster.info.nodes.map(({ peer }) => peer)
  }
}

/** `…` stands for anything within a line, and blanks for any number of them. */
function patternOf(quote: string): RegExp {
  const escaped = quote.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(escaped.replaceAll('…', '.*').replace(/ +/g, ' +'))
}
