import type { Register } from '../register.ts'

/** The map and this node's place in it. */
export type ControlMetrics = ReturnType<typeof controlMetrics>

export function controlMetrics(register: Register) {
  return {
    mapRevision: register.gauge('ashlar_control_map_revision', 'Revision of the map that this node has learned.'),
    featureLevel: register.gauge(
      'ashlar_control_feature_level',
      'Feature level of the cluster as this node knows it: rises once every node was upgraded.',
    ),
    leaderKnown: register.gauge(
      'ashlar_control_leader_known',
      '1 while this node knows a control leader and has a connection to it, or is it. 0: nothing in the map can change.',
    ),
    leaseHeld: register.gauge(
      'ashlar_control_lease_held',
      '1 while this node holds its lease. 0: it answers no writes, and reads only when all replicas confirm them.',
    ),
    leasesLost: register.counter('ashlar_control_leases_lost_total', 'Times that this node lost its lease.'),
    registrationsRefused: register.counter(
      'ashlar_control_registrations_refused_total',
      'Times that control refused to register this store: its name, its address or its directory is used twice.',
    ),
    nodes: register.gauge('ashlar_control_nodes', 'Nodes of the cluster by state.', ['state']),
    volumes: register.gauge('ashlar_control_volumes', 'Volumes of the cluster by state, as the map tells it.', [
      'state',
    ]),
    state: register.gauge(
      'ashlar_control_cluster_state',
      'State of the worst volume as the map tells it: 0 healthy, 2 degraded, 3 unavailable.',
    ),
    wentBack: register.counter(
      'ashlar_control_went_back_total',
      "Times that this node found out that control's log has gone back: changes of the map that were acknowledged are forgotten.",
    ),
    forgottenEpochs: register.counter(
      'ashlar_control_forgotten_epochs_total',
      'Extents of which this store promised an epoch that control knows nothing of any more.',
    ),
    expired: register.counter(
      'ashlar_control_expired_stores_total',
      'Stores that control set down because their lease ran out.',
    ),
  }
}
