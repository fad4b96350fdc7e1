/** For the gateway and tests of this repository: what the public door leaves out. Not stable. */
export { createLog, createRegister, LATENCY_BUCKETS_SECONDS, type Register } from './observe/index.ts'
