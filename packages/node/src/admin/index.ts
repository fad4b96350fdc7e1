/** The HTTP API of a node. */
export { HEALTH_STATES, type HealthState } from './health.ts'
export type { HeldVolumeResponse, HolderResponse } from './holder-schemas.ts'
export type { ForceReport, ForceRequest, LoseReport } from './loss-schemas.ts'
export type { NodeView, PeerStatus, Readiness, VerifiedBlock } from './node-view.ts'
export type { FetchPeer } from './peers.ts'
export type {
  ApiError,
  ChangeMembersRequest,
  ClusterResponse,
  ControlMembersResponse,
  CreateVolumeRequest,
  DetachReport,
  ExplanationResponse,
  ExtentResponse,
  LocalExtentResponse,
  LocalResponse,
  NodeDetailsResponse,
  NodeResponse,
  VersionsResponse,
  VolumeResponse,
} from './schemas.ts'
export type { ScrubRequest, ScrubResponse } from './scrub.ts'
export { type AdminServerOptions, createAdminServer, listenAdmin } from './server.ts'
