import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type LoadedOptions, loadOptions, type OptionInputs } from '../../src/config/load.ts'
import { SERVER_OPTIONS } from '../../src/config/options.ts'
import { printOptions } from '../../src/config/print.ts'
import { environmentName, type OptionSpec } from '../../src/config/table.ts'

const FILE = {
  path: 'ashlar.yaml',
  text: 'data-dir: /file\nlisten: 127.0.0.1:1001\nname: from-file\nlog-level: debug\n',
}

function load(inputs: Partial<OptionInputs>): LoadedOptions<typeof SERVER_OPTIONS> {
  return loadOptions(SERVER_OPTIONS, { flags: {}, environment: {}, ...inputs })
}

function refusal(inputs: Partial<OptionInputs>): string {
  try {
    load(inputs)
  } catch (error) {
    assert.ok(error instanceof Error)
    return error.message
  }
  return assert.fail('the options were accepted')
}

describe('options of a process', () => {
  it('come from flags before the environment before the file before defaults', () => {
    const { values, sources } = load({
      file: FILE,
      environment: { ASHLAR_LISTEN: '127.0.0.1:1002', ASHLAR_NAME: 'from-environment' },
      flags: { name: 'from-flag' },
    })
    assert.equal(values.name, 'from-flag')
    assert.equal(values.listen, '127.0.0.1:1002')
    assert.equal(values.dataDir, '/file')
    assert.equal(values.api, '127.0.0.1:7480')
    assert.deepEqual(sources.name, { from: 'flag', flag: '--name' })
    assert.deepEqual(sources.listen, { from: 'environment', variable: 'ASHLAR_LISTEN' })
    assert.deepEqual(sources.dataDir, { from: 'file', path: 'ashlar.yaml', line: 1 })
    assert.deepEqual(sources.logLevel, { from: 'file', path: 'ashlar.yaml', line: 4 })
    assert.deepEqual(sources.api, { from: 'default' })
  })

  it('take lists and labels in every form', () => {
    const text = 'data-dir: d\npeers:\n  - a:1\n  - b:2\nlabel:\n  zone: a\n  rack: r1\n'
    const fromFile = load({ file: { path: 'f', text } }).values
    assert.deepEqual(fromFile.peers, ['a:1', 'b:2'])
    assert.deepEqual({ ...fromFile.label }, { zone: 'a', rack: 'r1' })
    const fromFlags = load({ flags: { 'data-dir': 'd', peers: 'a:1, b:2', label: ['zone=a', 'rack=r1'] } }).values
    assert.deepEqual(fromFlags.peers, fromFile.peers)
    assert.deepEqual({ ...fromFlags.label }, { ...fromFile.label })
  })

  it('treat an empty variable as one that is not set', () => {
    assert.equal(load({ file: FILE, environment: { ASHLAR_NAME: '' } }).values.name, 'from-file')
  })

  it('leave undefined what is optional and was not given', () => {
    const { values } = load({ file: FILE })
    assert.equal(values.advertise, undefined)
    assert.equal(values.expect, undefined)
  })

  it('are refused with the name of the option and where the value stands', () => {
    const flags = { 'data-dir': 'd' }
    assert.equal(refusal({ flags: {} }), '--data-dir is missing')
    assert.match(refusal({ flags: { ...flags, listen: 'nowhere' } }), /^--listen: "nowhere" is not an address/)
    assert.match(refusal({ flags, environment: { ASHLAR_EXPECT: 'three' } }), /^ASHLAR_EXPECT: "three" is not a whole/)
    const text = '# a comment\nlog-level: loud\n'
    assert.match(refusal({ flags, file: { path: 'a.yaml', text } }), /^a\.yaml:2: log-level: "loud" is none of trace/)
  })

  it('are refused when the file is no YAML, no mapping, or names an option that does not exist', () => {
    const flags = { 'data-dir': 'd' }
    assert.match(refusal({ flags, file: { path: 'a.yaml', text: 'name: x\nname: [' } }), /^a\.yaml:2: /)
    assert.match(
      refusal({ flags, file: { path: 'a.yaml', text: '- name\n' } }),
      /^a\.yaml:1: the file must hold options/,
    )
    assert.equal(
      refusal({ flags, file: { path: 'a.yaml', text: 'name: x\nlissten: y\n' } }),
      'a.yaml:2: there is no option "lissten"',
    )
    assert.match(
      refusal({ flags, file: { path: 'a.yaml', text: 'peers: [[a:1]]\n' } }),
      /^a\.yaml:1: peers: the value must be/,
    )
  })

  it('print as a file that gives the same values, each with where it came from', () => {
    const loaded = load({ file: FILE, flags: { peers: 'a:1,b:2', label: ['zone=a'] }, environment: {} })
    const text = printOptions(SERVER_OPTIONS, loaded)
    assert.match(text, /^name: "from-file" +# ashlar\.yaml:3$/m)
    assert.match(text, /^peers: "a:1,b:2" +# --peers$/m)
    assert.match(text, /^# advertise: +# the address of --listen$/m)
    const again = load({ file: { path: 'printed', text } })
    assert.deepEqual(JSON.stringify(again.values), JSON.stringify(loaded.values))
  })
})

describe('the table of options', () => {
  it('gives every option a meaning, a cost, a unit and a name of its own', () => {
    const specs = Object.values(SERVER_OPTIONS)
    assert.equal(new Set(specs.map(environmentName)).size, specs.length)
    for (const spec of specs) {
      assert.match(spec.meaning, /\.$/, spec.name)
      assert.match(spec.cost, /\.$/, spec.name)
      assert.notEqual(spec.unit, '', spec.name)
    }
  })

  it('has defaults that its own parsers read back', () => {
    for (const [key, value] of Object.entries(load({ flags: { 'data-dir': 'd' } }).values)) {
      const spec: OptionSpec<unknown> = SERVER_OPTIONS[key as keyof typeof SERVER_OPTIONS]
      if (value !== undefined) assert.deepEqual(spec.parse(spec.print(value)), value, key)
    }
  })
})
