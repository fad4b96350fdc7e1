import type { ChecklistLine } from './line.ts'

const FUZZ = 'packages/client/test/nbd/protocol/fuzz.test.ts'
const HANDSHAKE = 'packages/client/test/nbd/protocol/handshake.test.ts'
const OPTIONS = 'packages/client/test/nbd/protocol/options.test.ts'
const SESSIONS = 'packages/client/test/nbd/protocol/sessions.test.ts'
const LIFECYCLE = 'packages/client/test/nbd/server/lifecycle.test.ts'
const LIMITS = 'packages/client/test/nbd/server/limits.test.ts'
const SESSION = 'packages/client/test/nbd/server/session.test.ts'
const GATEWAY = 'test/nbd/gateway.test.ts'
const GATEWAYS = 'test/nbd/gateways.test.ts'
const NEGATIVE = 'test/nbd/negative.test.ts'
const TCP = 'test/nbd/tcp.test.ts'

/** Handshake, options and transmission flags. */
export const HANDSHAKE_LINES: readonly ChecklistLine[] = [
  {
    line: 1,
    what: 'greeting: two magics and the flags for fixed newstyle and no zeroes',
    tests: { [HANDSHAKE]: ['nbd 1: the greeting is NBDMAGIC, IHAVEOPT and the two handshake flags, nothing else'] },
  },
  {
    line: 2,
    what: 'client flags: two known bits, anything else ends the connection',
    tests: { [HANDSHAKE]: ['nbd 2: any client flag but the two known ones ends the connection'] },
  },
  {
    line: 3,
    what: 'a client without fixed newstyle may only name an export',
    tests: { [HANDSHAKE]: ['nbd 3: without fixed newstyle only NBD_OPT_EXPORT_NAME is valid'] },
  },
  {
    line: 4,
    what: 'option magic, or the connection ends',
    tests: { [HANDSHAKE]: ['nbd 4: an option that does not start with IHAVEOPT ends the connection'] },
  },
  {
    line: 5,
    what: 'unknown options are refused and skipped',
    tests: {
      [HANDSHAKE]: ['nbd 5: an unknown option is refused, its data skipped, and the next option is understood'],
    },
  },
  {
    line: 6,
    what: 'form of option replies; texts are short and do not echo the client',
    tests: {
      [HANDSHAKE]: [
        'nbd 6: error texts are short and do not repeat more than 64 characters of the client, none unprintable',
      ],
    },
  },
  {
    line: 7,
    what: 'option data is bounded',
    tests: {
      [HANDSHAKE]: [
        'nbd 7: too much option data is refused and skipped up to a bound, and ends the connection beyond it',
      ],
    },
  },
  {
    line: 8,
    what: 'options sent ahead are answered in order or the connection ends',
    tests: { [HANDSHAKE]: ['nbd 8: options sent before the reply to the one before them are answered in order'] },
  },
  {
    line: 9,
    what: 'repeated options of state do no harm',
    tests: { [HANDSHAKE]: ['nbd 9: repeated options of state do no harm'] },
  },
  {
    line: 10,
    what: 'strings: UTF-8, no NUL, bounded',
    tests: { [HANDSHAKE]: ['nbd 10: names are UTF-8 without NUL of at most 4096 bytes'] },
  },
  {
    line: 11,
    what: 'deadline, connections and options of a handshake are bounded',
    tests: {
      [HANDSHAKE]: ['nbd 11: a handshake takes 64 options'],
      [LIMITS]: [
        'nbd 11, 109: a handshake that is not over in time is cut off, however busy the client looks',
        'nbd 11: the time that opening an export takes is not the client’s',
        'nbd 11, 110: connections beyond the limits are refused, and places become free again',
        'nbd 11: one address cannot take all places of a handshake',
      ],
    },
  },
  {
    line: 12,
    what: 'nothing is opened before an export is chosen',
    tests: {
      [HANDSHAKE]: ['nbd 12: only NBD_OPT_GO and NBD_OPT_EXPORT_NAME open an export'],
      [SESSION]: ['nbd 12: an export is opened by the first client that chooses it, shared, and closed after the last'],
    },
  },
  {
    line: 13,
    what: 'TCP_NODELAY',
    tests: { [TCP]: ['nbd 13: TCP_NODELAY is set on every connection before the greeting goes out'] },
  },
  {
    line: 14,
    what: 'a handshake that is cut anywhere leaves nothing behind',
    tests: {
      [HANDSHAKE]: ['nbd 14: a handshake that is cut at any byte gives the same events'],
      [SESSIONS]: [
        'nbd 14, 108: a recorded session that is split at any byte, or sent byte by byte, has the same outcome',
        'nbd 14, 108: a recorded session that is cut at any byte never gets ahead of its bytes',
      ],
      [LIFECYCLE]: ['nbd 14, 114: a client that vanishes in the middle of anything leaves nothing behind'],
    },
  },
  {
    line: 15,
    what: 'EXPORT_NAME',
    tests: {
      [OPTIONS]: [
        'nbd 15: NBD_OPT_EXPORT_NAME is answered by size, flags and exactly 124 zeroes unless they were waived',
      ],
      [SESSION]: ['nbd 15: the empty name is the only export, and unknown where there are several'],
    },
  },
  {
    line: 16,
    what: 'ABORT is acknowledged',
    tests: {
      [HANDSHAKE]: [
        'nbd 16: NBD_OPT_ABORT is acknowledged whatever data it carries, then the connection ends in order',
      ],
      [LIFECYCLE]: ['nbd 16: NBD_OPT_ABORT is acknowledged before the connection ends'],
    },
  },
  {
    line: 17,
    what: 'LIST shows what the client may see',
    later: 'identity',
    tests: { [OPTIONS]: ['nbd 17: NBD_OPT_LIST gives every export with its description, and takes no data'] },
  },
  {
    line: 18,
    what: 'PEEK_EXPORT is not supported',
    tests: { [OPTIONS]: ['nbd 18, 31: NBD_OPT_PEEK_EXPORT and NBD_OPT_EXTENDED_HEADERS are not supported'] },
  },
  {
    line: 19,
    what: 'STARTTLS is refused',
    tests: { [OPTIONS]: ['nbd 19, 82: NBD_OPT_STARTTLS is refused by policy, and as malformed when it carries data'] },
  },
  {
    line: 20,
    what: 'lengths inside INFO and GO fit exactly',
    tests: {
      [FUZZ]: ['nbd 20, 28: parsers of option data accept exactly what an encoder would write'],
      [OPTIONS]: ['nbd 20: lengths inside NBD_OPT_INFO and NBD_OPT_GO must fit the option exactly'],
    },
  },
  {
    line: 21,
    what: 'INFO_EXPORT before the acknowledgement',
    tests: {
      [OPTIONS]: [
        'nbd 21: NBD_INFO_EXPORT comes before the acknowledgement; unknown and repeated requests are ignored',
      ],
    },
  },
  {
    line: 22,
    what: 'name, description and block sizes',
    tests: {
      [OPTIONS]: ['nbd 22: name, description and block sizes are given on request, block sizes also when they differ'],
    },
  },
  {
    line: 23,
    what: 'unknown exports',
    tests: {
      [OPTIONS]: ['nbd 23, 25: an unknown export is told, and another name may be tried'],
      [NEGATIVE]: ['nbd 23, 24, 25, 28: libnbd tries names, lists contexts and aborts in the order that it likes'],
    },
  },
  {
    line: 24,
    what: 'INFO and GO agree',
    tests: {
      [OPTIONS]: ['nbd 24, 47: flags are the same in NBD_OPT_INFO, NBD_OPT_GO and NBD_OPT_EXPORT_NAME'],
      [NEGATIVE]: ['nbd 23, 24, 25, 28: libnbd tries names, lists contexts and aborts in the order that it likes'],
    },
  },
  {
    line: 25,
    what: 'GO begins transmission; a refused one leaves the handshake usable',
    tests: {
      [OPTIONS]: ['nbd 23, 25: an unknown export is told, and another name may be tried'],
      [NEGATIVE]: ['nbd 23, 24, 25, 28: libnbd tries names, lists contexts and aborts in the order that it likes'],
    },
  },
  {
    line: 26,
    what: 'BLOCK_SIZE_REQD is never sent',
    tests: {
      [OPTIONS]: ['nbd 26: a client that does not ask for block sizes is served all the same, whatever they are'],
    },
  },
  {
    line: 27,
    what: 'STRUCTURED_REPLY',
    tests: { [OPTIONS]: ['nbd 27: structured replies are agreed without data only'] },
  },
  {
    line: 28,
    what: 'LIST_META_CONTEXT',
    tests: {
      [FUZZ]: ['nbd 20, 28: parsers of option data accept exactly what an encoder would write'],
      [OPTIONS]: [
        'nbd 28: NBD_OPT_LIST_META_CONTEXT lists what the queries match',
        'nbd 28, 29: malformed metadata context options are refused',
      ],
      [NEGATIVE]: ['nbd 23, 24, 25, 28: libnbd tries names, lists contexts and aborts in the order that it likes'],
    },
  },
  {
    line: 29,
    what: 'SET_META_CONTEXT replaces what was set',
    tests: {
      [OPTIONS]: [
        'nbd 28, 29: malformed metadata context options are refused',
        'nbd 29, 30: the last NBD_OPT_SET_META_CONTEXT counts, only for the export that it named',
      ],
    },
  },
  {
    line: 30,
    what: 'contexts count for the export that they were set for',
    tests: { [OPTIONS]: ['nbd 29, 30: the last NBD_OPT_SET_META_CONTEXT counts, only for the export that it named'] },
  },
  {
    line: 31,
    what: 'EXTENDED_HEADERS is not supported',
    tests: { [OPTIONS]: ['nbd 18, 31: NBD_OPT_PEEK_EXPORT and NBD_OPT_EXTENDED_HEADERS are not supported'] },
  },
  {
    line: 32,
    what: 'nothing from before STARTTLS crosses it',
    tests: {
      [OPTIONS]: [
        'nbd 32: NBD_OPT_STARTTLS never succeeds here, so nothing crosses into TLS that came before or with it',
      ],
    },
  },
  {
    line: 33,
    what: 'options during shutdown',
    tests: { [HANDSHAKE]: ['nbd 33: during shutdown every option but NBD_OPT_ABORT is refused'] },
  },
  {
    line: 34,
    what: 'flag HAS_FLAGS',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  {
    line: 35,
    what: 'flag READ_ONLY',
    tests: {
      [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'],
      [GATEWAY]: ['nbd 35: a read-only gateway says so, and refuses every change of a client that does not listen'],
    },
  },
  {
    line: 36,
    what: 'flag SEND_FLUSH',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  { line: 37, what: 'flag SEND_FUA', tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] } },
  {
    line: 38,
    what: 'flag ROTATIONAL',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  {
    line: 39,
    what: 'flag SEND_TRIM',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  {
    line: 40,
    what: 'flag SEND_WRITE_ZEROES',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  { line: 41, what: 'flag SEND_DF', tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] } },
  {
    line: 42,
    what: 'flag CAN_MULTI_CONN',
    tests: {
      [OPTIONS]: [
        'nbd 34 to 46: transmission flags say what is supported',
        'nbd 42: several connections are offered always, since every device and volume answers for all of them',
      ],
      [GATEWAYS]: [
        'nbd 42, 105: gateways that share a volume read what each other was answered, and offer several connections',
      ],
    },
  },
  {
    line: 43,
    what: 'flag SEND_RESIZE',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  {
    line: 44,
    what: 'flag SEND_CACHE',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  {
    line: 45,
    what: 'flag FAST_ZERO',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  {
    line: 46,
    what: 'flag BLOCK_STATUS_PAYLOAD',
    tests: { [OPTIONS]: ['nbd 34 to 46: transmission flags say what is supported'] },
  },
  {
    line: 47,
    what: 'flags are the same however they are asked for',
    tests: { [OPTIONS]: ['nbd 24, 47: flags are the same in NBD_OPT_INFO, NBD_OPT_GO and NBD_OPT_EXPORT_NAME'] },
  },
]
