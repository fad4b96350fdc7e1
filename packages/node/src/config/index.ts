/** Options of a process: what there is, how it is written, where it came from. */
export { describeSource, type LoadedOptions, loadOptions, type OptionInputs, type OptionSource } from './load.ts'
export {
  DEFAULT_API_PORT,
  LOG_LEVELS,
  type LogLevel,
  SERVER_OPTIONS,
  type ServerOptions,
} from './options.ts'
export {
  asAddress,
  asAddresses,
  asBytes,
  asCount,
  asDuration,
  asLabels,
  asName,
  asNames,
  asOneOf,
  asReserve,
  asSwitch,
  asText,
  parseList,
} from './parsers.ts'
export { printOptions } from './print.ts'
export {
  formatBytes,
  formatDuration,
  formatReserve,
  parseBytes,
  parseDuration,
  parseReserve,
  type ReserveQuantity,
} from './quantities.ts'
export { environmentName, type OptionSpec, type OptionTable, type OptionValues } from './table.ts'
export {
  type InsecureListener,
  insecureListeners,
  knownPeers,
  validateServerOptions,
} from './validate-options.ts'
