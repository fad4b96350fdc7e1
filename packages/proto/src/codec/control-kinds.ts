import {
  type Admin,
  type AdminCommand,
  type ClusterId,
  type Confirm,
  type Confirmed,
  type Ending,
  type Fenced,
  type GetMap,
  type GetVersions,
  type GetWindows,
  type Greet,
  type Hello,
  type Incarnation,
  LIMITS,
  type Open,
  type OpenRefused,
  type Promises,
  type Refused,
  type Register,
  type Registered,
  type Released,
  type Renew,
  type Renewed,
  STORE_SPACES,
  type StoreId,
  type StreamClosed,
  type Voter,
  type Welcome,
} from '@ashlar/proto'
import {
  addressField,
  bytesField,
  codeField,
  counterField,
  epochField,
  extentField,
  genField,
  leafField,
  levelField,
  MAX_LEAVES,
  momentField,
  nodeNameField,
  replicasField,
  requestField,
  revisionField,
  seqField,
  sessionField,
  textField,
  volumeField,
} from './fields.ts'
import type { KindCodec } from './kind-codec.ts'
import { MESSAGE_LENGTH } from './map-kinds.ts'
import {
  ATTACH_MODES,
  ATTACH_POLICIES,
  bootIdField,
  CLIENT_LENGTH,
  END_KIND_LENGTH,
  END_REASON_LENGTH,
  TRUSTS,
} from './map-records.ts'
import { packBody, unpackBody } from './msgpack.ts'
import {
  bytes,
  choice,
  type Fields,
  flag,
  integer,
  list,
  number,
  optional,
  record,
  type Shape,
  since,
  string,
  text,
  uuid,
  variants,
} from './shapes.ts'

/** Small control and recovery messages: msgpack bodies in the order in which their fields stand here (append-only). */

const CREDENTIAL_BYTES = 4096
const MAX_WIRE_VERSION = 255

/**
 * `firstWire`: first wire version that has the kind, where not every one has it. A later field is `since(N, shape)`.
 */
function body<M extends { readonly type: string }>(
  type: M['type'],
  fields: Fields<Omit<M, 'type'>>,
  firstWire?: number,
): KindCodec<M> {
  const shape = record<M>(type, { type } as Partial<M>, fields as Partial<Fields<M>>)
  return {
    ...(firstWire === undefined ? {} : { since: firstWire }),
    headBytes: (message) => shape.size(message),
    writeHead(to, message, wire) {
      to.raw(packBody(shape.write(message, wire)))
    },
    read: (head, _payload, wire) => shape.read(unpackBody(head.raw(head.left)), wire),
  }
}

const request = number(requestField)
const extent = number(extentField)
const epoch = number(epochField)
const gen = number(genField)
const seq = number(seqField)
const counter = number(counterField)
const revision = number(revisionField)
const code = number(codeField)
const store = uuid<StoreId>()
const cluster = uuid<ClusterId>()
const name = string(nodeNameField)
const address = string(addressField)
const wire = integer('wire', 0, MAX_WIRE_VERSION)
const level = number(levelField)
const pid = integer('pid', 0, 2 ** 32 - 1)
const message = text('message', MESSAGE_LENGTH)
const trust = choice('trust', TRUSTS)
const incarnation = record<Incarnation>('incarnation', {}, { bootId: string(bootIdField), counter })
const voters = list('voters', record<Voter>('voter', {}, { store, address }), LIMITS.voters)

// ---- handshake: every version reads this layout, so that any two can at least refuse each other. Older versions drop
// fields that were added at the end
// ---------------------------------------------------------------------------------------

const helloKind = body<Hello>('hello', {
  kind: choice('kind', ['node', 'client']),
  wire,
  wireMin: wire,
  cluster: optional(cluster),
  store: optional(store),
  counter,
  name: text('name', CLIENT_LENGTH),
  address,
  credential: bytes('credential', CREDENTIAL_BYTES),
  level: optional(level),
  pid: optional(pid),
})

const welcomeKind = body<Welcome>('welcome', {
  ...{ wire, cluster: optional(cluster), store, counter, name, address },
  level: optional(level),
  pid: optional(pid),
})

const refusedKind = body<Refused>('refused', { code, message })

// ---- recovery ----------------------------------------------------------------------------------------------------------

const openKind = body<Open>('open', {
  extent,
  epoch,
  gen,
  primaryStore: store,
  replicaStore: store,
  replicaCounter: counter,
  counts: since(3, flag),
})

const openRefusedKind = body<OpenRefused>('open-refused', {
  extent,
  epoch,
  gen,
  reason: choice('reason', ['fenced', 'wrong-store', 'older-stream', 'poisoned']),
  promised: epoch,
})

const getWindowsKind = body<GetWindows>('get-windows', { extent, epoch, gen })

const getVersionsKind = body<GetVersions>('get-versions', {
  extent,
  epoch,
  gen,
  leaves: list('leaves', number(leafField), MAX_LEAVES),
})

const fencedKind = body<Fenced>('fenced', { extent, promised: epoch })

const streamClosedKind = body<StreamClosed>('stream-closed', { extent, epoch, gen, reason: message })

const confirmKind = body<Confirm>('confirm', { extent, epoch, round: request, commitSeq: since(3, seq) })

const confirmedKind = body<Confirmed>('confirmed', { extent, round: request, promised: epoch })

// ---- control -----------------------------------------------------------------------------------------------------------

const greetKind = body<Greet>('greet', {
  store,
  address,
  cluster: optional(cluster),
  voters,
  expect: list('expect', address, LIMITS.nodes),
})

const registerKind = body<Register>('register', {
  request,
  cluster,
  store,
  name,
  address,
  api: address,
  incarnation,
  trust,
  level: since(3, level),
})

const registeredKind = body<Registered>('registered', { request, code, message, revision })

const renewKind = body<Renew>('renew', {
  token: request,
  store,
  counter,
  revision,
  freeBytes: number(bytesField),
  space: optional(choice('space', STORE_SPACES)),
  level: since(3, level),
  cleared: since(3, flag),
})

const renewedKind = body<Renewed>('renewed', { token: request, code, revision })

const getMapKind = body<GetMap>('get-map', { have: revision, watch: flag })

const releasedKind = body<Released>('released', { request, code })

const promise = record<Promises['extents'][number]>('promise', {}, { extent, epoch, promised: epoch })
const promisesKind = body<Promises>(
  'promises',
  { store, counter, extents: list('extents', promise, LIMITS.promisesPerMessage) },
  3,
)

// An invalid name must reach control, whose response says what is wrong. A name that is too long is refused here: a cut
// one could be the name of another volume.
const volumeName = string((value) => textField(value, 'name', CLIENT_LENGTH))
const size = number(bytesField)
const MEMBER_CHANGES = ['add', 'promote', 'remove'] as const
type Command<K extends AdminCommand['do']> = Extract<AdminCommand, { do: K }>

function command<K extends AdminCommand['do']>(word: K, fields: Fields<Omit<Command<K>, 'do'>>): Shape<never> {
  const constant = { do: word } as unknown as Partial<Command<K>>
  return record<Command<K>>(word, constant, fields as unknown as Partial<Fields<Command<K>>>) as unknown as Shape<never>
}

const endingKind = body<Ending>(
  'ending',
  {
    store,
    counter,
    kind: text('kind', END_KIND_LENGTH),
    reason: text('reason', END_REASON_LENGTH),
    at: integer('at', 0, Number.MAX_SAFE_INTEGER),
  },
  3,
)

const adminKind = body<Admin>('admin', {
  request,
  command: variants<AdminCommand>('command', 'do', {
    'create-volume': command('create-volume', {
      name: volumeName,
      sizeBytes: size,
      blockSizeBytes: size,
      extentSizeBytes: size,
      replicas: number(replicasField),
      minInSync: number(replicasField),
    }),
    'remove-volume': command('remove-volume', { name: volumeName }),
    attach: command('attach', {
      name: volumeName,
      session: number(sessionField),
      mode: choice('mode', ATTACH_MODES),
      ifFree: flag,
      client: text('client', CLIENT_LENGTH),
      renews: since(3, flag),
      policy: since(3, choice('policy', ATTACH_POLICIES)),
      owner: since(3, text('owner', CLIENT_LENGTH)),
      since: since(3, number(momentField)),
    }),
    detach: command('detach', {
      volume: number(volumeField),
      session: number(sessionField),
      fence: since(3, flag),
    }),
    'force-primary': command('force-primary', { extent, store }),
    'lose-store': command('lose-store', { store }),
    'change-members': command('change-members', { change: choice('change', MEMBER_CHANGES), store }),
    'transfer-leadership': command('transfer-leadership', { store }),
    'acknowledge-loss': command('acknowledge-loss', { name: volumeName }),
    'renew-attachment': since(
      3,
      command('renew-attachment', { volume: number(volumeField), session: number(sessionField) }),
    ),
  }),
})

export const CONTROL_KINDS = {
  hello: helloKind,
  welcome: welcomeKind,
  refused: refusedKind,
  open: openKind,
  'open-refused': openRefusedKind,
  'get-versions': getVersionsKind,
  fenced: fencedKind,
  'stream-closed': streamClosedKind,
  confirm: confirmKind,
  confirmed: confirmedKind,
  'get-windows': getWindowsKind,
  greet: greetKind,
  register: registerKind,
  registered: registeredKind,
  renew: renewKind,
  renewed: renewedKind,
  'get-map': getMapKind,
  released: releasedKind,
  promises: promisesKind,
  ending: endingKind,
  admin: adminKind,
}
