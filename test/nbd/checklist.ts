import { CONNECTION_LINES } from './checklist/connections.ts'
import { HANDSHAKE_LINES } from './checklist/handshake.ts'
import type { ChecklistLine } from './checklist/line.ts'
import { REQUEST_LINES } from './checklist/requests.ts'

export type { ChecklistLine }

/**
 * What an NBD server has to get right, from the protocol's specification, the faults that other servers were known for,
 * and our own limits: each line with the tests that prove it. A test's name begins with the numbers of its lines.
 */
export const CHECKLIST: readonly ChecklistLine[] = [...HANDSHAKE_LINES, ...REQUEST_LINES, ...CONNECTION_LINES]
