/**
 * For the command line: options and shapes of the API, without what a node is made of, so that a command that only asks a
 * question starts fast. Not stable.
 */
export type {
  ApiError,
  ClusterAnswer,
  CreateVolumeRequest,
  ExplanationAnswer,
  ExtentAnswer,
  HealthState,
  LocalAnswer,
  NodeAnswer,
  NodeDetailsAnswer,
  VersionsAnswer,
  VolumeAnswer,
} from './admin/index.ts'
export {
  asAddress,
  asAddresses,
  asBytes,
  asCount,
  asDuration,
  asNames,
  asOneOf,
  asSwitch,
  asText,
  DEFAULT_API_PORT,
  formatBytes,
  formatDuration,
  insecureListeners,
  knownPeers,
  LOG_LEVELS,
  type LoadedOptions,
  type LogLevel,
  loadOptions,
  type OptionSpec,
  type OptionTable,
  type OptionValues,
  parseBytes,
  parseDuration,
  parseList,
  printOptions,
  SERVER_OPTIONS,
  type ServerOptions,
  validateServerOptions,
} from './config/index.ts'
export { VERSION } from './version.ts'
