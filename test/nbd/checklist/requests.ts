import type { ChecklistLine } from './line.ts'

const VOLUME_DEVICE = 'packages/client/test/nbd/device/volume-device.test.ts'
const REPLY_WRITER = 'packages/client/test/nbd/protocol/reply-writer.test.ts'
const REQUEST_READER = 'packages/client/test/nbd/protocol/request-reader.test.ts'
const VALIDATE = 'packages/client/test/nbd/protocol/validate.test.ts'
const DURABILITY = 'packages/client/test/nbd/server/durability.test.ts'
const LIFECYCLE = 'packages/client/test/nbd/server/lifecycle.test.ts'
const LIMITS = 'packages/client/test/nbd/server/limits.test.ts'
const SESSION = 'packages/client/test/nbd/server/session.test.ts'
const PERSIST_BEFORE_ACK = 'test/cluster/persist-before-ack.test.ts'
const NEGATIVE = 'test/nbd/negative.test.ts'

/** Requests and commands. */
export const REQUEST_LINES: readonly ChecklistLine[] = [
  {
    line: 48,
    what: 'request magic',
    tests: {
      [REQUEST_READER]: [
        'nbd 48: requests are read as they were sent, with the verdict on each',
        'nbd 48: anything but the request magic is a fault, and nothing is read after it',
      ],
    },
  },
  {
    line: 49,
    what: 'cookies are opaque',
    tests: {
      [REQUEST_READER]: ['nbd 49: cookies are kept bit by bit'],
      [SESSION]: [
        'nbd 49, 50: requests are carried out side by side and answered as they end, duplicates of a cookie too',
      ],
    },
  },
  {
    line: 50,
    what: 'requests run side by side, replies stay whole',
    tests: {
      [REPLY_WRITER]: ['nbd 50: many replies come out whole and in order, small ones gathered, large data uncopied'],
      [SESSION]: [
        'nbd 49, 50: requests are carried out side by side and answered as they end, duplicates of a cookie too',
        'nbd 50: replies to many requests at once are whole and each belongs to its request',
      ],
    },
  },
  {
    line: 51,
    what: 'bounds in 64 bits',
    tests: {
      [VALIDATE]: [
        'nbd 51: ranges that overflow 64 bits are out of range',
        'nbd 51, 58: past the end reads, trims, queries and caches are EINVAL, writes and zeroes ENOSPC',
      ],
      [NEGATIVE]: ['nbd 51, 58: libnbd without checks gets the error of a range past the end'],
    },
  },
  {
    line: 52,
    what: 'length zero',
    tests: {
      [VALIDATE]: ['nbd 52: length zero is EINVAL for every command with a range'],
      [NEGATIVE]: ['nbd 52: libnbd without checks gets EINVAL for length zero'],
    },
  },
  {
    line: 53,
    what: 'unknown commands',
    tests: {
      [VALIDATE]: ['nbd 53, 79: unknown commands are EINVAL'],
      [SESSION]: ['nbd 53, 54: bad requests are answered and the stream stays in step'],
    },
  },
  {
    line: 54,
    what: 'unknown flags; refused data is passed over',
    tests: {
      [REQUEST_READER]: ['nbd 54: the data of a write that is refused is passed over, and the next request is read'],
      [VALIDATE]: ['nbd 54, 55: each flag is valid for its own command only, FUA for all'],
      [SESSION]: ['nbd 53, 54: bad requests are answered and the stream stays in step'],
      [NEGATIVE]: ['nbd 54, 55: libnbd without checks gets EINVAL for flags that do not belong to the command'],
    },
  },
  {
    line: 55,
    what: 'flags need what was advertised',
    tests: {
      [VALIDATE]: [
        'nbd 54, 55: each flag is valid for its own command only, FUA for all',
        'nbd 55, 75: DF and FAST_ZERO are EINVAL where they were not advertised',
      ],
      [NEGATIVE]: ['nbd 54, 55: libnbd without checks gets EINVAL for flags that do not belong to the command'],
    },
  },
  {
    line: 56,
    what: 'alignment',
    tests: { [VALIDATE]: ['nbd 56: ranges that do not fit the minimum block size are EINVAL'] },
  },
  {
    line: 57,
    what: 'error numbers',
    tests: {
      [VALIDATE]: ['nbd 57: failures of a device become error numbers that the protocol knows'],
      [LIFECYCLE]: ['nbd 57: device calls are given up after the time that the server was told'],
      [SESSION]: ['nbd 57: what a device fails with becomes an error number with its text, and the connection goes on'],
    },
  },
  {
    line: 58,
    what: 'past the end',
    tests: {
      [VALIDATE]: ['nbd 51, 58: past the end reads, trims, queries and caches are EINVAL, writes and zeroes ENOSPC'],
      [NEGATIVE]: ['nbd 51, 58: libnbd without checks gets the error of a range past the end'],
    },
  },
  {
    line: 59,
    what: 'read-only',
    tests: {
      [VALIDATE]: ['nbd 59: a read-only export refuses changes with EPERM and reads as ever'],
      [SESSION]: ['nbd 59: a read-only export refuses changes'],
      [NEGATIVE]: ['nbd 59: libnbd without checks cannot change a read-only export'],
    },
  },
  {
    line: 60,
    what: 'oversized writes',
    tests: {
      [REQUEST_READER]: [
        'nbd 60: a write above the maximum is read past; above the hard limit it is a fault before its data',
      ],
      [VALIDATE]: ['nbd 60, 61: payloads are bounded, ranges without payload are not'],
      [LIMITS]: ['nbd 60: a write above the hard limit ends the connection at its header'],
      [NEGATIVE]: [
        'nbd 60, 61: libnbd without checks may ask for more than the largest payload, and goes on after the refusal',
      ],
    },
  },
  {
    line: 61,
    what: 'oversized reads and ranges',
    tests: {
      [VALIDATE]: ['nbd 60, 61: payloads are bounded, ranges without payload are not'],
      [SESSION]: ['nbd 61: reads up to the maximum work, one byte more is EINVAL and the connection goes on'],
      [NEGATIVE]: [
        'nbd 60, 61: libnbd without checks may ask for more than the largest payload, and goes on after the refusal',
      ],
    },
  },
  {
    line: 62,
    what: 'what is in flight is bounded by not reading',
    tests: {
      [LIMITS]: [
        'nbd 62: beyond the requests in flight the socket is not read, and nothing fails',
        'nbd 62: beyond the bytes in flight the socket is not read, and one larger request still goes through',
        'nbd 62: one budget bounds what every client together makes the server hold',
      ],
    },
  },
  {
    line: 63,
    what: 'READ, simple replies',
    tests: {
      [REPLY_WRITER]: [
        'nbd 63: a simple read is its header and exactly the data, holes expanded',
        'nbd 63: a simple read that failed has no data',
      ],
      [SESSION]: ['nbd 63, 69: writes are read back over simple replies'],
    },
  },
  {
    line: 64,
    what: 'READ, structured replies',
    tests: {
      [REPLY_WRITER]: [
        'nbd 64, 67: a structured read covers its range in order; only the last chunk is done; zeroes are holes',
        'nbd 64: a structured read that failed is one error chunk with its text',
      ],
      [SESSION]: ['nbd 64, 67: structured reads send data and holes'],
    },
  },
  {
    line: 65,
    what: 'chunks are no larger than a payload',
    tests: { [DURABILITY]: ['nbd 65: no chunk carries more than the largest payload that was told'] },
  },
  {
    line: 66,
    what: 'READ with DF',
    tests: { [REPLY_WRITER]: ['nbd 66: with DF a read is one data chunk, holes expanded'] },
  },
  {
    line: 67,
    what: 'holes read as zeroes',
    tests: {
      [REPLY_WRITER]: [
        'nbd 64, 67: a structured read covers its range in order; only the last chunk is done; zeroes are holes',
      ],
      [SESSION]: ['nbd 64, 67: structured reads send data and holes'],
    },
  },
  {
    line: 68,
    what: 'error chunks',
    tests: { [REPLY_WRITER]: ['nbd 68: an error text is cut to what the protocol allows'] },
  },
  {
    line: 69,
    what: 'WRITE is whole blocks or nothing',
    tests: {
      [DURABILITY]: ['nbd 69: a write reaches the device as one call, and one that fails is told without an effect'],
      [SESSION]: ['nbd 63, 69: writes are read back over simple replies'],
    },
  },
  {
    line: 70,
    what: 'FUA',
    tests: {
      [DURABILITY]: [
        'nbd 70: a write, a trim and zeroes with FUA survive a power cut once they are answered, without a flush',
      ],
      [SESSION]: ['nbd 70, 75: FUA and NO_HOLE reach the device'],
      [PERSIST_BEFORE_ACK]: ['a live replica acknowledges no write before the fdatasync that covers it has ended'],
    },
  },
  {
    line: 71,
    what: 'FLUSH',
    tests: {
      [VALIDATE]: ['nbd 71: FLUSH has no range'],
      [DURABILITY]: [
        'nbd 71, 100: a flush on one connection keeps what others were answered before it through a power cut',
        'nbd 71: a flush does not wait for writes that are not answered yet',
      ],
    },
  },
  {
    line: 72,
    what: 'DISC',
    tests: {
      [LIFECYCLE]: ['nbd 72: after NBD_CMD_DISC requests in flight land and are answered, and what follows is ignored'],
    },
  },
  {
    line: 73,
    what: 'TRIM',
    tests: { [SESSION]: ['nbd 73, 75: trimmed and zeroed ranges read as zeroes; what NO_HOLE zeroed stays allocated'] },
  },
  { line: 74, what: 'CACHE', tests: { [SESSION]: ['nbd 74: CACHE is answered'] } },
  {
    line: 75,
    what: 'WRITE_ZEROES with NO_HOLE and FAST_ZERO',
    tests: {
      [VALIDATE]: ['nbd 55, 75: DF and FAST_ZERO are EINVAL where they were not advertised'],
      [SESSION]: [
        'nbd 70, 75: FUA and NO_HOLE reach the device',
        'nbd 73, 75: trimmed and zeroed ranges read as zeroes; what NO_HOLE zeroed stays allocated',
      ],
    },
  },
  {
    line: 76,
    what: 'BLOCK_STATUS',
    tests: {
      [REPLY_WRITER]: ['nbd 76: block status is one chunk with the context and its extents'],
      [VALIDATE]: ['nbd 76: BLOCK_STATUS needs a selected context'],
      [SESSION]: [
        'nbd 76, 81: block status obeys REQ_ONE, never passes the request, and takes huge ranges in slices',
        'nbd 76: a fragmented range gets the beginning of its extents',
        'nbd 76: block status without a context is EINVAL, also over simple replies',
      ],
      [NEGATIVE]: ['nbd 76: libnbd without a context gets EINVAL for block status'],
    },
  },
  {
    line: 77,
    what: 'base:allocation',
    tests: {
      [DURABILITY]: ['nbd 77: base:allocation has two bits, and a range whose write may lack space is a hole'],
      [VOLUME_DEVICE]: ['blocks that were trimmed or never written are holes, blocks zeroed with noHole are not'],
    },
  },
  { line: 78, what: 'contexts of our own', later: 'dirty contexts', tests: {} },
  { line: 79, what: 'RESIZE', tests: { [VALIDATE]: ['nbd 53, 79: unknown commands are EINVAL'] } },
  {
    line: 80,
    what: 'requests during shutdown',
    tests: {
      [LIFECYCLE]: ['nbd 80: closing the server answers what is in flight, refuses what comes, then closes the device'],
    },
  },
  {
    line: 81,
    what: 'huge ranges of BLOCK_STATUS',
    tests: {
      [SESSION]: ['nbd 76, 81: block status obeys REQ_ONE, never passes the request, and takes huge ranges in slices'],
    },
  },
]
