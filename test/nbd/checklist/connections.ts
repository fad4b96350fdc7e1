import type { ChecklistLine } from './line.ts'

const FUZZ = 'packages/client/test/nbd/protocol/fuzz.test.ts'
const HANDSHAKE = 'packages/client/test/nbd/protocol/handshake.test.ts'
const OPTIONS = 'packages/client/test/nbd/protocol/options.test.ts'
const REQUEST_READER = 'packages/client/test/nbd/protocol/request-reader.test.ts'
const SESSIONS = 'packages/client/test/nbd/protocol/sessions.test.ts'
const DURABILITY = 'packages/client/test/nbd/server/durability.test.ts'
const HOLDERS = 'packages/client/test/nbd/server/holders.test.ts'
const LIFECYCLE = 'packages/client/test/nbd/server/lifecycle.test.ts'
const LIMITS = 'packages/client/test/nbd/server/limits.test.ts'
const SESSION = 'packages/client/test/nbd/server/session.test.ts'
const SUCCESSION = 'packages/client/test/nbd/server/succession.test.ts'
const OUTAGE = 'test/cluster/outage.test.ts'
const GATEWAYS = 'test/nbd/gateways.test.ts'

/** TLS, extended headers, several connections, hostile clients. */
export const CONNECTION_LINES: readonly ChecklistLine[] = [
  {
    line: 82,
    what: 'TLS modes',
    later: 'TLS',
    tests: { [OPTIONS]: ['nbd 19, 82: NBD_OPT_STARTTLS is refused by policy, and as malformed when it carries data'] },
  },
  { line: 83, what: 'TLS forced', later: 'TLS', tests: {} },
  { line: 84, what: 'TLS for some exports', later: 'TLS', tests: {} },
  { line: 85, what: 'after TLS', later: 'TLS', tests: {} },
  { line: 86, what: 'TLS versions', later: 'TLS', tests: {} },
  { line: 87, what: 'failed TLS handshakes', later: 'TLS', tests: {} },
  { line: 88, what: 'certificates to access lists', later: 'identity', tests: {} },
  { line: 89, what: 'pre-shared keys to access lists', later: 'TLS', tests: {} },
  { line: 90, what: 'close_notify', later: 'TLS', tests: {} },
  { line: 91, what: 'TLS renegotiation and tickets', later: 'TLS', tests: {} },
  { line: 92, what: 'extended requests', later: 'extended headers', tests: {} },
  { line: 93, what: 'extended WRITE', later: 'extended headers', tests: {} },
  { line: 94, what: 'payloads of other extended commands', later: 'extended headers', tests: {} },
  { line: 95, what: 'extended replies', later: 'extended headers', tests: {} },
  { line: 96, what: 'extended BLOCK_STATUS', later: 'extended headers', tests: {} },
  { line: 97, what: 'BLOCK_STATUS with a payload', later: 'extended headers', tests: {} },
  { line: 98, what: 'extended headers are never required', later: 'extended headers', tests: {} },
  { line: 99, what: '64-bit lengths', later: 'extended headers', tests: {} },
  {
    line: 100,
    what: 'FLUSH on one connection covers the others',
    tests: {
      [DURABILITY]: [
        'nbd 71, 100: a flush on one connection keeps what others were answered before it through a power cut',
      ],
      [OUTAGE]: ['all nodes killed at once under load: every acknowledged write is there after the restart'],
    },
  },
  {
    line: 101,
    what: 'an answered write is read on every connection',
    tests: { [SESSION]: ['nbd 101, 102: what one connection was answered another one reads'] },
  },
  {
    line: 102,
    what: 'so is one with FUA',
    tests: { [SESSION]: ['nbd 101, 102: what one connection was answered another one reads'] },
  },
  {
    line: 103,
    what: 'overlapping writes of two connections',
    tests: { [SESSION]: ['nbd 103: overlapping writes of two connections leave one of them in every block'] },
  },
  {
    line: 104,
    what: 'writes of a dead connection never land late',
    tests: {
      [SUCCESSION]: [
        'nbd 104: a new connection is served only once the writes of the dead one are settled',
        'nbd 104: on a connection that is open already the same write waits for the stuck one',
        'nbd 104: writes of a dead connection that have not started never do',
        'nbd 104: a write of a dead connection does not start when the one before it is given up',
        'nbd 104: overlapping writes take effect in the order in which they came, others side by side',
      ],
    },
  },
  {
    line: 105,
    what: 'sixteen connections, several gateways',
    tests: {
      [DURABILITY]: ['nbd 105: sixteen connections share one device, and each reads what any other was answered'],
      [GATEWAYS]: [
        'nbd 42, 105: gateways that share a volume read what each other was answered, and offer several connections',
      ],
    },
  },
  { line: 106, what: 'one writer identity', later: 'identity', tests: {} },
  {
    line: 107,
    what: 'random bytes at every stage',
    tests: {
      [FUZZ]: [
        'nbd 107, 108: damaged handshakes never throw, and every reply is well formed',
        'nbd 107, 108: damaged requests never throw, and never give data that was not sent',
      ],
      [SESSIONS]: ['nbd 107, 108, 117: recorded sessions, damaged in several ways at once, break no promise'],
      [LIMITS]: ['nbd 107, 114, 116, 117: noise at every stage and resets leave the server as it was'],
    },
  },
  {
    line: 108,
    what: 'damaged recordings of real sessions',
    tests: {
      [FUZZ]: [
        'nbd 107, 108: damaged handshakes never throw, and every reply is well formed',
        'nbd 107, 108: damaged requests never throw, and never give data that was not sent',
      ],
      [SESSIONS]: [
        'nbd 14, 108: a recorded session that is split at any byte, or sent byte by byte, has the same outcome',
        'nbd 14, 108: a recorded session that is cut at any byte never gets ahead of its bytes',
        'nbd 108: a recorded session with any one bit flipped breaks no promise',
        'nbd 107, 108, 117: recorded sessions, damaged in several ways at once, break no promise',
      ],
    },
  },
  {
    line: 109,
    what: 'slow clients',
    tests: {
      [LIMITS]: [
        'nbd 11, 109: a handshake that is not over in time is cut off, however busy the client looks',
        'nbd 109: between requests a client may be silent; a request that began must end in time',
        'nbd 109: a client that sends request after request is not mistaken for one that does not finish one',
      ],
    },
  },
  {
    line: 110,
    what: 'clients that connect and hold',
    tests: {
      [HOLDERS]: [
        'nbd 110, 116: ten thousand clients that connect and hold take the places there are, and nothing after them',
      ],
      [LIMITS]: ['nbd 11, 110: connections beyond the limits are refused, and places become free again'],
    },
  },
  {
    line: 111,
    what: 'a write that is announced and never sent',
    tests: { [REQUEST_READER]: ['nbd 111: a write whose data never comes holds no more memory than has arrived'] },
  },
  {
    line: 112,
    what: 'a client that takes no replies',
    tests: {
      [LIMITS]: [
        'nbd 112: a client that takes no replies holds a bounded amount, then is dropped',
        'nbd 112: a client that takes replies slowly keeps its connection',
      ],
    },
  },
  {
    line: 113,
    what: 'a flood of reads',
    tests: { [LIMITS]: ['nbd 113: a flood of reads that nobody takes costs no more than the bounds'] },
  },
  {
    line: 114,
    what: 'resets at every stage',
    tests: {
      [LIFECYCLE]: ['nbd 14, 114: a client that vanishes in the middle of anything leaves nothing behind'],
      [LIMITS]: ['nbd 107, 114, 116, 117: noise at every stage and resets leave the server as it was'],
    },
  },
  {
    line: 115,
    what: 'hostile export names',
    tests: { [HANDSHAKE]: ['nbd 115: hostile export names are names like any other'] },
  },
  {
    line: 116,
    what: 'handles and memory stay flat',
    tests: {
      [HOLDERS]: [
        'nbd 110, 116: ten thousand clients that connect and hold take the places there are, and nothing after them',
      ],
      [LIMITS]: ['nbd 107, 114, 116, 117: noise at every stage and resets leave the server as it was'],
    },
  },
  {
    line: 117,
    what: 'no input ends the process',
    tests: {
      [SESSIONS]: ['nbd 107, 108, 117: recorded sessions, damaged in several ways at once, break no promise'],
      [LIMITS]: ['nbd 107, 114, 116, 117: noise at every stage and resets leave the server as it was'],
    },
  },
]
