import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { buildProgram } from '../src/program.ts'
import { ashlar, textIo } from './kit.ts'

/** Every command that does something, with the words that call it. */
function leaves(command: Command, words: readonly string[] = []): { words: readonly string[]; command: Command }[] {
  const children = command.commands.filter((child) => child.name() !== 'help')
  const own = children.length === 0 || command.name() === 'dev' ? [{ words, command }] : []
  return [...own, ...children.flatMap((child) => leaves(child, [...words, child.name()]))]
}

const COMMANDS = leaves(buildProgram(textIo().io, () => undefined))

describe('the command line', () => {
  it('has the verbs that scripts rely on', () => {
    assert.deepEqual(
      COMMANDS.map(({ words }) => words.join(' ')),
      [
        'dev',
        'dev stop',
        'dev start',
        'dev logs',
        'cluster info',
        'cluster check',
        'cluster wait',
        'cluster membership add',
        'cluster membership promote',
        'cluster membership remove',
        'cluster leader show',
        'cluster leader transfer',
        'cluster recover',
        'node ls',
        'node describe',
        'node scrub',
        'node lost',
        'volume create',
        'volume ls',
        'volume describe',
        'volume rm',
        'volume detach',
        'volume import',
        'volume export',
        'volume acknowledge-loss',
        'extent ls',
        'extent force-primary',
        'replica export',
        'server run',
        'gateway run',
        'gateway ls',
        'explain',
      ],
    )
  })

  for (const { words } of COMMANDS) {
    it(`${words.join(' ')} --help says what it does, with examples that call it, on standard output`, async () => {
      const { code, out, error } = await ashlar([...words, '--help'])
      assert.deepEqual([code, error], [0, ''])
      assert.match(out, new RegExp(`Examples:\\n(.*\\n)* {2}\\$ (.* \\| )?ashlar ${words.join(' ')}`))
    })
  }

  it('has the flags that scripts rely on', () => {
    const flags = (...words: string[]): string[] => {
      const found = COMMANDS.find((entry) => entry.words.join(' ') === words.join(' '))
      return found?.command.options.map(({ long }) => long ?? '') ?? []
    }
    const expected: Record<string, string[]> = {
      dev: ['--nodes', '--data-dir', '--api-port', '--nbd', '--volume', '--size', '--replicas', '--restart'],
      'dev stop': ['--kill'],
      'server run': [
        ...['--data-dir', '--listen', '--api', '--advertise', '--name', '--label', '--peers', '--expect', '--config'],
        ...['--init', '--insecure', '--print-config'],
      ],
      'gateway run': ['--listen', '--export', '--read-only', '--io-timeout', '--api', '--peers', '--insecure'],
      'cluster check': ['--deep'],
      'cluster wait': ['--for', '--timeout'],
      'volume create': ['--size', '--replicas', '--block-size', '--min-in-sync'],
    }
    for (const [words, names] of Object.entries(expected)) {
      const have = flags(...words.split(' '))
      assert.deepEqual(
        names.filter((name) => !have.includes(name)),
        [],
        words,
      )
    }
  })
})

describe('a command line that cannot be understood', () => {
  const mistakes: readonly [string[], RegExp][] = [
    [['volume', 'lss'], /unknown command 'lss' \(did you mean ls\?\)/],
    [['volume', 'ls', '--no-such-flag'], /unknown option '--no-such-flag'/],
    [['volume', 'describe'], /missing required argument 'name'/],
    [['volume', 'describe', 'a', 'b'], /too many arguments/],
    [['volume', 'create', 'a'], /required option '--size <size>' not specified/],
    [['volume', 'create', 'a', '--size', '10GB'], /--size: "10GB" is not a size/],
    [['volume', 'create', 'a', '--size', '1Gi', '--replicas', 'three'], /--replicas: "three" is not a whole number/],
    [['volume', 'ls', '-o', 'xml'], /-o: "xml" is none of table, wide, json, yaml, name/],
    [['volume', 'ls', '--server', 'ftp://x'], /--server: "ftp:\/\/x" is not an address/],
    [['cluster', 'wait', '--for', 'ever'], /--for <state>.*healthy, recovering, degraded/],
    [['cluster', 'wait', '--timeout', '5'], /--timeout: "5" is not a duration/],
    [['cluster', 'recover'], /--from/],
    [['cluster', 'check', '--volume', 'demo'], /--volume needs --deep/],
    [['replica', 'export', 'demo', 'demo.img'], /--from/],
    [['node', 'scrub', 'n1', '--start', '--pause'], /--start and --pause exclude each other/],
    [['explain', 'disk', 'x'], /volume, extent, node/],
    [['server', 'run'], /--data-dir is missing/],
    [['server', 'run', '--data-dir', '/nonexistent/x'], /--peers: is empty and so is the data directory/],
    [
      ['server', 'run', '--data-dir', 'x', '--listen', '10.0.0.1:1', '--init'],
      /--listen: 10\.0\.0\.1:1 is not a loopback/,
    ],
    [['server', 'run', '--config', '/nonexistent/x.yaml'], /--config: \/nonexistent\/x\.yaml cannot be read/],
    [['gateway', 'run', '--listen', '0.0.0.0:10809'], /--listen: 0\.0\.0\.0:10809 is not a loopback address/],
    [['gateway', 'run', '--io-timeout', 'long'], /--io-timeout: "long" is not a duration/],
    [['dev', '--nodes', '0'], /--nodes: must be from 1 to 100/],
    [['dev', '--nodes', '1', '--replicas', '3'], /--replicas: 3 replicas need as many nodes, and there is 1/],
    [['dev', '--nbd', 'somewhere'], /--nbd: "somewhere" is not an address/],
  ]
  for (const [args, expected] of mistakes) {
    it(`exits 2 with one line: ${args.join(' ')}`, async () => {
      const { code, out, error } = await ashlar(args)
      assert.deepEqual([code, out], [2, ''], error)
      assert.match(error, expected)
      assert.match(error, /^ashlar: [^\n]+\n$/)
    })
  }

  it('exits 2 with help when a verb is missing', async () => {
    const { code, error } = await ashlar(['volume'])
    assert.equal(code, 2)
    assert.match(error, /^Usage: ashlar volume/)
  })
})

describe('server run --print-config', () => {
  it('prints every option with its value and source, and starts nothing', async () => {
    const { code, out } = await ashlar(['server', 'run', '--data-dir', '/d', '--label', 'zone=a', '--print-config'], {
      ASHLAR_LOG_LEVEL: 'debug',
    })
    assert.equal(code, 0)
    assert.match(out, /^data-dir: "\/d" +# --data-dir$/m)
    assert.match(out, /^label: "zone=a" +# --label$/m)
    assert.match(out, /^log-level: "debug" +# ASHLAR_LOG_LEVEL$/m)
    assert.match(out, /^api: "127\.0\.0\.1:7480" +# default$/m)
  })
})

describe('short names of nouns', () => {
  it('work, and are listed once in the help', async () => {
    const { out } = await ashlar(['--help'])
    assert.match(out, /^Short names: cl for cluster, no for node, v for volume, /m)
    assert.doesNotMatch(out, /cluster\|cl/)
    assert.match((await ashlar(['v', '--help'])).out, /^Usage: ashlar volume \[options\]/)
  })
})
