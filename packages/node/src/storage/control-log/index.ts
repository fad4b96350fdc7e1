/** The control log of a store: append-only files of its own, because LevelDB drops records from the middle (findings 1 to 5). */
export { BootMark } from './boot-mark.ts'
export { earlierLogPath } from './earlier-logs.ts'
export { type ControlLog, type ControlLogOptions, openControlLog, openExistingControlLog } from './file-control-log.ts'
export { lastMarkPath } from './last-mark.ts'
export { termMarkPath } from './term-mark.ts'
