import type { Register } from '../register.ts'

/** The map, and this node in it. */
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
      '1 while this node is the control leader or has a connection to it. 0: the map cannot change.',
    ),
    leaseHeld: register.gauge(
      'ashlar_control_lease_held',
      '1 while this node holds its lease. 0: it acknowledges no writes, and serves reads only when all replicas confirm them.',
    ),
    leasesLost: register.counter('ashlar_control_leases_lost_total', 'Times that this node lost its lease.'),
    registrationsRefused: register.counter(
      'ashlar_control_registrations_refused_total',
      'Times that control refused to register this store: another store uses its name, its address or a copy of its directory.',
    ),
    nodes: register.gauge('ashlar_control_nodes', 'Nodes of the cluster by state.', ['state']),
    volumes: register.gauge('ashlar_control_volumes', 'Volumes of the cluster by state, according to the map.', [
      'state',
    ]),
    state: register.gauge(
      'ashlar_control_cluster_state',
      'State of the worst volume according to the map: 0 healthy, 2 degraded, 3 unavailable, 4 unknown: this node is cut off from control.',
    ),
    wentBack: register.counter(
      'ashlar_control_went_back_total',
      "Times that this node detected that control's log went back: acknowledged changes of the map were lost.",
    ),
    forgottenEpochs: register.counter(
      'ashlar_control_forgotten_epochs_total',
      'Extents for which this store promised an epoch that control lost.',
    ),
    expired: register.counter(
      'ashlar_control_expired_stores_total',
      'Stores that control set down because their lease ran out.',
    ),
  }
}
