/** The HTTP API of a node. */
export { HEALTH_STATES, type HealthState } from './health.ts'
export type { NodeView, Readiness, VerifiedBlock } from './node-view.ts'
export type { FetchPeer } from './peers.ts'
export type {
  ApiError,
  ChangeMembersRequest,
  ClusterAnswer,
  ControlMembersAnswer,
  CreateVolumeRequest,
  DetachReport,
  ExplanationAnswer,
  ExtentAnswer,
  ForceReport,
  ForceRequest,
  LocalAnswer,
  LocalExtentAnswer,
  LoseReport,
  NodeAnswer,
  NodeDetailsAnswer,
  VersionsAnswer,
  VolumeAnswer,
} from './schemas.ts'
export type { ScrubAnswer, ScrubRequest } from './scrub.ts'
export { type AdminServerOptions, createAdminServer, listenAdmin } from './server.ts'
