import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { type Epoch, ERRORS, extentId, type Message, type SessionId, type VolumeId } from '@ashlar/proto'
import type { MachineEvent } from '../../src/core/machine.ts'
import { EVENT_METRICS } from '../../src/observe/event-metrics.ts'
import { Observer } from '../../src/observe/index.ts'
import { delaySeconds } from '../../src/observe/metrics/process-metrics.ts'
import { newStoreMetrics } from '../../src/storage/index.ts'
import { extentRecord, FakeView, mapOf, nodeRecord, primaryStatus, storeOf, volumeRecord } from '../admin/fake-view.ts'

const EXTENT = extentId(1 as VolumeId, 0)

/** An observer with a clock of its own, its log lines, and the values of its series by their text. */
function observe(t: TestContext, view?: FakeView) {
  const lines: Record<string, unknown>[] = []
  const time = { ms: 0 }
  const observer = new Observer({
    level: 'debug',
    name: 'n1',
    version: '1.2.3',
    to: { write: (line) => void lines.push(JSON.parse(line)) },
    clock: () => time.ms,
  })
  t.after(() => observer.close())
  if (view !== undefined) observer.watch(view)
  const series = async (): Promise<Map<string, number>> => {
    const text = await observer.register.expose()
    const pairs = text.split('\n').map((line) => /^(\S+) (\S+)$/.exec(line))
    return new Map(pairs.flatMap((pair) => (pair === null ? [] : [[pair[1] ?? '', Number(pair[2])]])))
  }
  const value = async (name: string): Promise<number> => (await series()).get(name) ?? 0
  return { observer, lines, time, series, value }
}

function demoView(changes: Parameters<typeof mapOf>[0] = {}): FakeView {
  return new FakeView(mapOf({ volumes: [volumeRecord(1, 'demo')], extents: [extentRecord(1, 0)], ...changes }))
}

describe('events of the machines', () => {
  /** An event of each kind that moves a metric, the series that it moves, and by how much. */
  const moves: readonly [MachineEvent, Record<string, number>][] = [
    [{ level: 'info', what: 'extent-active' }, { ashlar_replication_activations_total: 1 }],
    [
      { level: 'info', what: 'extent-stepped-down' },
      { 'ashlar_replication_step_downs_total{reason="stepped-down"}': 1 },
    ],
    [{ level: 'warn', what: 'primary-fenced' }, { 'ashlar_replication_step_downs_total{reason="fenced"}': 1 }],
    [{ level: 'error', what: 'control-went-back' }, { ashlar_control_went_back_total: 1 }],
    [{ level: 'error', what: 'map-ahead-of-control' }, { ashlar_control_went_back_total: 1 }],
    [{ level: 'error', what: 'epoch-forgotten' }, { ashlar_control_forgotten_epochs_total: 1 }],
    [{ level: 'error', what: 'primary-behind' }, { 'ashlar_replication_step_downs_total{reason="behind"}': 1 }],
    [
      { level: 'info', what: 'in-sync-change-asked', from: ['a', 'b'], to: ['a'] },
      { 'ashlar_replication_in_sync_changes_total{direction="shrink"}': 1 },
    ],
    [
      { level: 'info', what: 'in-sync-change-asked', from: ['a'], to: ['a', 'b'] },
      { 'ashlar_replication_in_sync_changes_total{direction="grow"}': 1 },
    ],
    [
      { level: 'info', what: 'stream-compared', blocks: 12 },
      { ashlar_recovery_compared_streams_total: 1, ashlar_recovery_listed_blocks_total: 12 },
    ],
    [
      { level: 'info', what: 'stream-marked', blocks: 12, bytes: 49_152 },
      {
        ashlar_recovery_marked_streams_total: 1,
        ashlar_recovery_copied_blocks_total: 12,
        ashlar_recovery_copied_bytes_total: 49_152,
      },
    ],
    [{ level: 'warn', what: 'stream-closed' }, { ashlar_recovery_closed_streams_total: 1 }],
    [
      { level: 'info', what: 'stream-refused', reason: 'fenced' },
      { 'ashlar_recovery_refused_streams_total{reason="fenced"}': 1 },
    ],
    [{ level: 'error', what: 'block-damaged' }, { ashlar_recovery_damaged_blocks_total: 1 }],
    [{ level: 'warn', what: 'block-repaired' }, { ashlar_recovery_repaired_blocks_total: 1 }],
    [{ level: 'error', what: 'block-not-repaired' }, { ashlar_recovery_unrepaired_blocks_total: 1 }],
    [{ level: 'warn', what: 'lease-lost' }, { ashlar_control_leases_lost_total: 1 }],
    [{ level: 'warn', what: 'store-expired' }, { ashlar_control_expired_stores_total: 1 }],
    [{ level: 'error', what: 'registration-refused' }, { ashlar_control_registrations_refused_total: 1 }],
    [{ level: 'error', what: 'store-failed' }, { ashlar_storage_failures_total: 1 }],
  ]

  for (const [event, expected] of moves) {
    it(`${event.what} moves ${Object.keys(expected).join(', ')}`, async (t) => {
      const { observer, series } = observe(t)
      const before = await series()
      observer.event(event)
      const after = await series()
      for (const [name, by] of Object.entries(expected)) {
        assert.equal((after.get(name) ?? 0) - (before.get(name) ?? 0), by, name)
      }
    })
  }

  it('that move a metric are all tried above', () => {
    assert.deepEqual([...new Set(moves.map(([event]) => event.what))].sort(), Object.keys(EVENT_METRICS).sort())
  })

  it('are counted by name, known or not', async (t) => {
    const { observer, value } = observe(t)
    observer.event({ level: 'info', what: 'never-heard-of' })
    assert.equal(await value('ashlar_process_events_total{what="never-heard-of",level="info"}'), 1)
  })

  it('of too many names share one series', async (t) => {
    const { observer, value } = observe(t)
    for (let number = 0; number < 250; number++) observer.event({ level: 'debug', what: `name-${number}` })
    assert.equal(await value('ashlar_process_events_total{what="other",level="debug"}'), 50)
  })

  it('never fail over a detail of another kind than expected', async (t) => {
    const { observer, value } = observe(t)
    observer.event({ level: 'info', what: 'stream-marked', blocks: 'many', bytes: Number.NaN })
    assert.equal(await value('ashlar_recovery_copied_blocks_total'), 0)
    assert.equal(await value('ashlar_recovery_marked_streams_total'), 1)
  })

  it('become log lines with their details, and with names beside ids', (t) => {
    const { observer, lines } = observe(t, demoView())
    observer.event({ level: 'warn', what: 'stream-closed', extent: EXTENT, store: storeOf(2), reason: 'gap' })
    const { level, msg, node, extent, volume, storeName, reason } = lines.at(-1) ?? {}
    assert.deepEqual(
      { level, msg, node, extent, volume, storeName, reason },
      {
        ...{ level: 'warn', msg: 'stream-closed', node: 'n1', extent: EXTENT },
        ...{ volume: 'demo', storeName: 'n2', reason: 'gap' },
      },
    )
  })

  it('that repeat are logged a few times, all counted, and reported when the window ends', async (t) => {
    const { observer, lines, time, value } = observe(t)
    for (let number = 0; number < 100; number++) observer.event({ level: 'info', what: 'extent-active' })
    observer.event({ level: 'info', what: 'extent-recovering' })
    assert.equal(lines.filter(({ msg }) => msg === 'extent-active').length, 20)
    assert.equal(lines.filter(({ msg }) => msg === 'extent-recovering').length, 1)
    assert.equal(await value('ashlar_replication_activations_total'), 100)
    assert.equal(await value('ashlar_process_suppressed_log_lines_total{what="extent-active"}'), 80)
    time.ms = 10_001
    // Another event is enough: the one that was left out may never come again.
    observer.event({ level: 'info', what: 'lease-held' })
    const suppressed = lines.find(({ msg }) => msg === 'log-lines-suppressed')
    assert.deepEqual([suppressed?.['what'], suppressed?.['lines']], ['extent-active', 80])
    observer.event({ level: 'info', what: 'extent-active' })
    assert.equal(lines.filter(({ msg }) => msg === 'extent-active').length, 21)
  })
})

describe('operations of clients', () => {
  const operation = { session: 1 as SessionId, op: 1, lowMark: 1, generation: 1 }
  const write: Message = {
    ...{ type: 'write', request: 9, extent: EXTENT, epoch: 1 as Epoch, operation, offset: 0 },
    ...{ checksums: [0], payload: new Uint8Array(4096) },
  }
  const answer = (code: number): Message => ({ type: 'answer', request: 9, code, epoch: 1 as Epoch })
  const labels = 'volume="demo",operation="write"'

  it('are timed from receipt to response, by volume, operation and outcome', async (t) => {
    const { observer, time, value } = observe(t, demoView())
    observer.linkUp(1, 'in', 'client')
    observer.received(1, write)
    time.ms = 30
    observer.sent(1, answer(0), 'queued')
    assert.equal(await value(`ashlar_replication_operations_total{${labels},code="OK"}`), 1)
    assert.equal(await value(`ashlar_replication_operation_seconds_count{${labels}}`), 1)
    assert.equal(await value(`ashlar_replication_operation_seconds_bucket{le="0.025",${labels}}`), 0)
    assert.equal(await value(`ashlar_replication_operation_seconds_bucket{le="0.05",${labels}}`), 1)
    assert.equal(await value(`ashlar_replication_operation_bytes_total{${labels}}`), 4096)
  })

  it('that fail count by their code and carry no bytes', async (t) => {
    const { observer, value } = observe(t, demoView())
    observer.linkUp(1, 'in', 'client')
    observer.received(1, write)
    observer.sent(1, answer(ERRORS.WAIT.number), 'queued')
    assert.equal(await value(`ashlar_replication_operations_total{${labels},code="WAIT"}`), 1)
    assert.equal(await value(`ashlar_replication_operation_bytes_total{${labels}}`), 0)
  })

  it('are not counted when the response was not sent', async (t) => {
    const { observer, value } = observe(t, demoView())
    observer.linkUp(1, 'in', 'client')
    observer.received(1, write)
    observer.sent(1, answer(0), 'down')
    observer.linkDown(1)
    assert.equal(await value(`ashlar_replication_operations_total{${labels},code="OK"}`), 0)
    assert.equal(await value('ashlar_transport_unsent_messages_total{reason="down"}'), 1)
  })

  it('of two connections with the same numbers are kept apart', async (t) => {
    const { observer, time, value } = observe(t, demoView())
    for (const link of [1, 2]) observer.linkUp(link, 'in', 'client')
    observer.received(1, write)
    time.ms = 1000
    observer.received(2, write)
    observer.sent(2, answer(0), 'queued')
    assert.equal(await value(`ashlar_replication_operation_seconds_sum{${labels}}`), 0)
    observer.sent(1, answer(0), 'queued')
    assert.equal(await value(`ashlar_replication_operation_seconds_sum{${labels}}`), 1)
  })

  it('take bounded memory when they never get a response', async (t) => {
    const { observer, value } = observe(t, demoView())
    observer.linkUp(1, 'in', 'client')
    for (let request = 0; request < 65_540; request++) observer.received(1, { ...write, request })
    assert.equal(await value('ashlar_replication_operations_untimed_total'), 4)
    observer.linkDown(1)
    observer.linkUp(2, 'in', 'client')
    observer.received(2, write)
    observer.sent(2, answer(0), 'queued')
    assert.equal(await value(`ashlar_replication_operations_total{${labels},code="OK"}`), 1)
  })
})

describe('states at an exposition', () => {
  it('show nothing of the present on a node that is cut off from control', async (t) => {
    const view = demoView()
    const { value } = observe(t, view)
    const extents = (state: string) => value(`ashlar_replication_extents{volume="demo",state="${state}"}`)
    assert.deepEqual([await extents('healthy'), await extents('unknown')], [1, 0])
    view.leaseHeld = false
    assert.deepEqual([await extents('healthy'), await extents('unknown')], [0, 1])
    assert.equal(await value('ashlar_control_volumes{state="unknown"}'), 1)
    assert.equal(await value('ashlar_control_cluster_state'), 4)
  })

  it('show extents, in-sync replicas, nodes, lease and leader', async (t) => {
    const nodes = [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' })]
    const degraded = extentRecord(1, 1, { inSync: [storeOf(1), storeOf(2)] })
    const view = demoView({ nodes, extents: [extentRecord(1, 0), degraded] })
    const { value } = observe(t, view)
    assert.equal(await value('ashlar_replication_extents{volume="demo",state="healthy"}'), 1)
    assert.equal(await value('ashlar_replication_extents{volume="demo",state="degraded"}'), 1)
    assert.equal(await value('ashlar_replication_in_sync_replicas{volume="demo"}'), 2)
    assert.equal(await value('ashlar_control_nodes{state="down"}'), 1)
    assert.equal(await value('ashlar_control_nodes{state="up"}'), 2)
    assert.equal(await value('ashlar_control_map_revision'), 7)
    assert.equal(await value('ashlar_control_volumes{state="degraded"}'), 1)
    assert.equal(await value('ashlar_control_cluster_state'), 2)
    assert.equal(await value('ashlar_control_leader_known'), 1)
    assert.equal(await value('ashlar_control_lease_held'), 1)
    view.leader = undefined
    view.leaseHeld = false
    assert.equal(await value('ashlar_control_leader_known'), 0)
    assert.equal(await value('ashlar_control_lease_held'), 0)
  })

  it('show how far replicas of local primaries are behind, and go back to 0', async (t) => {
    const view = demoView()
    const { value } = observe(t, view)
    const stream = { store: storeOf(3), phase: 'copying', behindBlocks: 40 }
    view.extents = [{ ...primaryStatus(EXTENT, [stream]), pendingWrites: 5 }]
    assert.equal(await value('ashlar_recovery_behind_blocks{volume="demo"}'), 40)
    assert.equal(await value('ashlar_recovery_streams{phase="copying"}'), 1)
    assert.equal(await value('ashlar_replication_primaries{phase="active"}'), 1)
    assert.equal(await value('ashlar_replication_pending_writes'), 5)
    view.extents = [primaryStatus(EXTENT, [{ ...stream, phase: 'live', behindBlocks: 0 }])]
    assert.equal(await value('ashlar_recovery_behind_blocks{volume="demo"}'), 0)
    assert.equal(await value('ashlar_recovery_streams{phase="copying"}'), 0)
  })

  it('show the holders of a volume', async (t) => {
    const holders = [{ session: 1 as SessionId, mode: 'exclusive' as const, client: 'x' }]
    const view = demoView({ volumes: [volumeRecord(1, 'demo', { holders })] })
    const { value } = observe(t, view)
    assert.equal(await value('ashlar_replication_attachments{volume="demo",mode="exclusive"}'), 1)
    view.map = demoView().map
    assert.equal(await value('ashlar_replication_attachments{volume="demo",mode="exclusive"}'), 0)
  })

  it('leave nothing behind of a volume that was removed', async (t) => {
    const view = demoView()
    const { series } = observe(t, view)
    const ofDemo = async () => [...(await series()).keys()].filter((name) => name.includes('volume="demo"'))
    assert.notDeepEqual(await ofDemo(), [])
    view.map = mapOf({})
    assert.deepEqual(await ofDemo(), [])
  })

  it('show connections by peer and direction', async (t) => {
    const { observer, value } = observe(t)
    observer.linkUp(1, 'in', 'client')
    observer.linkUp(2, 'out', 'node')
    observer.linkUp(3, 'out', 'node')
    observer.linkDown(3)
    observer.linkDown(99)
    assert.equal(await value('ashlar_transport_links{peer="client",direction="in"}'), 1)
    assert.equal(await value('ashlar_transport_links{peer="node",direction="out"}'), 1)
    assert.equal(await value('ashlar_transport_links_opened_total{peer="node",direction="out"}'), 2)
    assert.equal(await value('ashlar_transport_links_closed_total{peer="node",direction="out"}'), 1)
  })

  it('show messages by kind', async (t) => {
    const { observer, value } = observe(t)
    observer.received(1, { type: 'get-map', have: 0, watch: true })
    observer.sent(1, { type: 'get-map', have: 0, watch: true }, 'queued')
    observer.sent(1, { type: 'get-map', have: 0, watch: true }, 'full')
    assert.equal(await value('ashlar_transport_received_messages_total{kind="get-map"}'), 1)
    assert.equal(await value('ashlar_transport_sent_messages_total{kind="get-map"}'), 1)
    assert.equal(await value('ashlar_transport_unsent_messages_total{reason="full"}'), 1)
  })

  it('warn of listeners that anyone can use, in the log and as a metric', async (t) => {
    const view = demoView()
    view.insecure = [{ option: '--listen', address: '10.0.0.1:7580' }]
    const { lines, value } = observe(t, view)
    assert.equal(await value('ashlar_process_insecure_listener{option="--listen"}'), 1)
    const warning = lines.find(({ level }) => level === 'warn')
    assert.match(String(warning?.['msg']), /^insecure-listener/)
    assert.equal(warning?.['address'], '10.0.0.1:7580')
  })

  it('follow the store and the transport', async (t) => {
    const { observer, value } = observe(t)
    const metrics = newStoreMetrics()
    const reserves = { placement: 4000, writes: 2000, last: 500 }
    const space = () => ({ space: 'tight' as const, freeBytes: 1000, since: 0, reserves })
    observer.metrics.storage.watch({ metrics, space, statistics: () => ({ files: 4 }) })
    metrics.batches = 3
    metrics.bytes = 4096
    metrics.onSync?.(0.004)
    const counters = {
      ...{ sentFrames: 1, sentBytes: 2, receivedFrames: 3, receivedBytes: 4, badFrames: 5, refusedHandshakes: 6 },
      ...{ foreignConnections: 7, fullLinks: 8, stalledLinks: 9, pausedClients: 10, failedDials: 11 },
      ...{ unencodableMessages: 12 },
    }
    observer.metrics.transport.watch(counters)
    assert.equal(await value('ashlar_storage_batches_total'), 3)
    assert.equal(await value('ashlar_storage_bytes_total'), 4096)
    assert.equal(await value('ashlar_storage_free_bytes'), 1000)
    assert.equal(await value('ashlar_storage_reserve_bytes{reserve="writes"}'), 2000)
    assert.equal(await value('ashlar_storage_space{state="tight"}'), 1)
    assert.equal(await value('ashlar_storage_space{state="free"}'), 0)
    assert.equal(await value('ashlar_storage_driver{statistic="files"}'), 4)
    assert.equal(await value('ashlar_storage_sync_seconds_count'), 1)
    assert.equal(await value('ashlar_transport_bad_frames_total'), 5)
    assert.equal(await value('ashlar_transport_failed_dials_total'), 11)
    counters.badFrames = 6
    assert.equal(await value('ashlar_transport_bad_frames_total'), 6)
  })

  it('show the process: versions, event loop, memory', async (t) => {
    const { series } = observe(t)
    const all = await series()
    assert.equal(
      all.get(`ashlar_process_build_info{version="1.2.3",node_version="${process.versions.node}",name="n1"}`),
      1,
    )
    assert.ok((all.get('process_resident_memory_bytes') ?? 0) > 0)
    assert.ok(all.has('ashlar_process_event_loop_delay_seconds{statistic="99%"}'))
    // On time is no delay, whatever passes between two looks.
    assert.deepEqual([50e6, 550e6, 0].map(delaySeconds), [0, 0.5, 0])
  })
})

describe('names of metrics', () => {
  it('are ashlar_<module>_<what>_<unit>, with _total exactly on counters', async (t) => {
    const { observer } = observe(t, demoView())
    observer.metrics.transport.watch({
      ...{ sentFrames: 0, sentBytes: 0, receivedFrames: 0, receivedBytes: 0, badFrames: 0, refusedHandshakes: 0 },
      ...{ foreignConnections: 0, fullLinks: 0, stalledLinks: 0, pausedClients: 0, failedDials: 0 },
      ...{ unencodableMessages: 0 },
    })
    const types = [...(await observer.register.expose()).matchAll(/^# TYPE (\S+) (\w+)$/gm)]
    const ours = types.filter(([, name]) => name?.startsWith('ashlar_'))
    assert.ok(ours.length > 40)
    for (const [, name = '', type] of ours) {
      assert.match(name, /^ashlar_(replication|recovery|storage|scrub|transport|control|process)_[a-z_]+$/)
      assert.equal(name.endsWith('_total'), type === 'counter', name)
    }
    // Prometheus' own checker refuses gauges that end like counters.
    for (const [, name = '', type] of types) assert.equal(name.endsWith('_total') && type !== 'counter', false, name)
  })
})

describe('the log', () => {
  it('never shows credentials, wherever they stand', (t) => {
    const { observer, lines } = observe(t)
    observer.log.info({ credential: 'secret', hello: { credential: 'secret', token: 'secret' } }, 'x')
    assert.doesNotMatch(JSON.stringify(lines), /secret/)
  })
})
