import type {
  AdminCommand,
  AttachMode,
  AttachPolicy,
  BlockKind,
  Bytes,
  ErrorCode,
  ExtentId,
  Message,
  Millis,
  StoreId,
  VolumeRecord,
} from '@ashlar/proto'

/**
 * The contract between the client machine and its shell. The machine is synchronous and total: `step(now, input)`
 * changes state and returns effects; it has no clock, no I/O, no promise and no randomness but what inputs and options
 * give it. The shell (the library's pump, or the simulator) executes effects in the order in which they were returned.
 */

/** Names one call of the shell until its `settled` comes back. Chosen by the shell, never used twice. */
export type CallToken = number
/** Names one connection for as long as it lives. Chosen by the shell, never used twice by one client. */
export type ClientLink = number
/** Names one open volume inside one client; given by the outcome of `open`, never used twice by one client. */
export type VolumeHandle = number

/** What a client is built with. Times in milliseconds; each has its default in TIMERS. */
export interface ClientOptions {
  /** host:port of nodes to learn the map from; links to all of them are kept. */
  readonly servers: readonly string[]
  /** Name of this client (host, program, pid): shown as the holder of an attachment. */
  readonly name: string
  /** Name that the program keeps when it starts again: it may take its own volumes back (A2.11-13). Absent: none. */
  readonly owner?: string
  /**
   * Start of this client's own random sequence: a safe integer from 0. Two clients of one cluster must differ in it.
   */
  readonly seed: number
  /** Deadline of one call. A call of more than 64 pieces gets the same time again after every 64 pieces. */
  readonly ioTimeoutMs?: Millis
  /** A request without any response is sent again, with its operation id, after this long. */
  readonly answerTimeoutMs?: Millis
  /** A request that got WAIT is retried after this long at the latest, and at once when the map changes. */
  readonly waitRetryMs?: Millis
  /**
   * After the deadline of a write the machine sends a CANCEL to the primary; the call waits this long for the response
   * before it fails as indeterminate.
   */
  readonly cancelGraceMs?: Millis
}

// ---- inputs -------------------------------------------------------------------------------------------------------

export type ClientInput =
  | { readonly type: 'tick' }
  /**
   * A dialed connection passed its handshake; `store` is the store at that address, `wire` the version that both speak:
   * later messages and fields are not sent on this link.
   */
  | {
      readonly type: 'link-up'
      readonly link: ClientLink
      readonly address: string
      readonly store: StoreId
      readonly wire: number
    }
  | { readonly type: 'link-down'; readonly link: ClientLink }
  /** One attempt to dial failed; the shell goes on dialing. Only a call that waits for the first map cares. */
  | { readonly type: 'dial-failed'; readonly address: string; readonly reason: string }
  /**
   * A valid message whose checksums match (a `read-done` that does not match closes the link instead). Byte arrays are
   * copied before `step` returns: the machine keeps no view of them.
   */
  | { readonly type: 'received'; readonly link: ClientLink; readonly message: Message }
  /** Settled exactly once, by a `settled` effect with the same token. */
  | { readonly type: 'call'; readonly token: CallToken; readonly call: ClientCall }
  /**
   * The caller aborted the call (AbortSignal): it is settled in this step. Sent pieces of a write are cancelled
   * afterwards, so its failure is indeterminate and its range stays locked until the cancellations have responses.
   */
  | { readonly type: 'abandon'; readonly token: CallToken }
  /** Ends the client: every pending call fails with CLOSED, and every later one. */
  | { readonly type: 'shut-down' }

/** How a discard leaves whole blocks: unallocated, or allocated and zero. */
export type DiscardKind = 'trim' | 'zero'

/** What a caller can request. Offsets and lengths in bytes from the start of the volume, inside it, any alignment. */
export type ClientCall =
  /** Done when a map was learned, or fails when the dial of every server failed. */
  | { readonly do: 'wait-for-map' }
  /** `at`: the caller's wall clock, shown as the time of the attach. */
  | {
      readonly do: 'open'
      readonly name: string
      readonly mode: AttachMode
      readonly policy: AttachPolicy
      readonly at?: Millis
    }
  /** Waits for the volume's calls and unresolved operations, then detaches. Later calls fail with CLOSED. */
  | { readonly do: 'close'; readonly volume: VolumeHandle }
  /** With `target` (of `length` bytes) the bytes go there, else into new memory. */
  | {
      readonly do: 'read'
      readonly volume: VolumeHandle
      readonly offset: Bytes
      readonly length: Bytes
      readonly target?: Uint8Array
    }
  /**
   * The machine keeps `bytes` and never changes them until the call is settled; messages that hold them and wait to be
   * sent are withdrawn before. `checksums`: crc32 of each part of `splitBlocks(blockSizeBytes, offset, bytes.length)`,
   * in that order.
   */
  | {
      readonly do: 'write'
      readonly volume: VolumeHandle
      readonly offset: Bytes
      readonly bytes: Uint8Array
      readonly checksums: readonly number[]
    }
  /** The range reads as zeroes afterwards. `trim` gives the space of whole blocks back, `zero` keeps it allocated. */
  | {
      readonly do: 'discard'
      readonly volume: VolumeHandle
      readonly offset: Bytes
      readonly length: Bytes
      readonly kind: DiscardKind
    }
  /**
   * Done when every write and discard of the volume made before it has its response; durability `ack` needs no more.
   */
  | { readonly do: 'flush'; readonly volume: VolumeHandle }
  | {
      readonly do: 'query-allocation'
      readonly volume: VolumeHandle
      readonly offset: Bytes
      readonly length: Bytes
    }
  /** `attach` and `detach` go with `open` and `close`. Done when this client's map has the revision of the change. */
  | {
      readonly do: 'admin'
      readonly command: Extract<AdminCommand, { do: 'create-volume' | 'remove-volume' }>
    }
  /** Reads the newest map of the nodes that this client is linked to. */
  | { readonly do: 'list-volumes' }
  | { readonly do: 'describe-volume'; readonly name: string }

// ---- effects ------------------------------------------------------------------------------------------------------

export type ClientEffect =
  /**
   * The complete set of addresses to keep a dialed connection to. Replaces the set before; links outside it are closed.
   */
  | { readonly type: 'dial'; readonly addresses: readonly string[] }
  | { readonly type: 'send'; readonly link: ClientLink; readonly message: Message }
  /**
   * Drops the message of this request if it still waits to be sent. Its response is not needed, and the bytes of a
   * write belong to the caller again when the call is settled.
   */
  | { readonly type: 'withdraw'; readonly link: ClientLink; readonly request: number }
  /** Close a connection; `link-down` follows, and the address is dialed again while it is in the set. */
  | { readonly type: 'close-link'; readonly link: ClientLink; readonly reason: string }
  | { readonly type: 'settled'; readonly token: CallToken; readonly outcome: ClientOutcome }
  /** For logs and `status()`. Never read back. */
  | { readonly type: 'event'; readonly event: ClientEvent }

/** A failure as plain data: the shell makes the AshlarError, with the stack of the caller. */
export interface ClientFailure {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
  /**
   * `indeterminate`: true when an operation may still take effect. `partial`: true when other pieces of the same call
   * did. `reason`: why it waited when time ran out (WaitReason).
   */
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

export type ClientOutcome =
  | { readonly ok: true; readonly result: ClientResult }
  | { readonly ok: false; readonly failure: ClientFailure }

/** `length` bytes of one kind. Runs are in order and sum up to the requested length. */
export interface AllocationRun {
  readonly length: Bytes
  readonly kind: BlockKind
}

export type ClientResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'opened'; readonly handle: VolumeHandle; readonly volume: VolumeRecord }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'allocation'; readonly runs: readonly AllocationRun[] }
  | { readonly kind: 'volume'; readonly volume: VolumeRecord; readonly state: VolumeState }
  | { readonly kind: 'volumes'; readonly volumes: readonly { volume: VolumeRecord; state: VolumeState }[] }

/**
 * How well a volume is replicated, as far as the map says; the worst extent decides. `recovering`: every store that
 * should hold a replica is up, and not all are in sync. `degraded`: one is not up. `unavailable`: fewer than minInSync,
 * or the primary is not up.
 */
export type VolumeState = 'healthy' | 'recovering' | 'degraded' | 'unavailable'

/** Why a request waits: the code of the last response, no connection to the primary, or no response from it. */
export type WaitReason = ErrorCode | 'no-link' | 'no-answer'

export type ClientEvent =
  | { readonly what: 'connected'; readonly address: string; readonly store: StoreId }
  | { readonly what: 'disconnected'; readonly address: string }
  | { readonly what: 'map'; readonly revision: number }
  /** A request to this extent has waited for a second; reported once, until `resumed`. */
  | { readonly what: 'waiting'; readonly volume: string; readonly extent: ExtentId; readonly reason: WaitReason }
  | { readonly what: 'resumed'; readonly volume: string; readonly extent: ExtentId }
  /** A later attachment exists: the volume's session ended. */
  | {
      readonly what: 'fenced'
      readonly volume: string
      readonly handle: VolumeHandle
      /** Why, as the error of every later call says it: it names the new holder where the map has it. */
      readonly reason: string
      /** The client that holds the volume now. Absent: none, or not known yet. */
      readonly holder?: string
    }
  | { readonly what: 'removed'; readonly volume: string; readonly handle: VolumeHandle }
  /** An operation whose call had failed as indeterminate is resolved now. */
  | {
      readonly what: 'resolved-late'
      readonly volume: string
      readonly extent: ExtentId
      readonly offset: Bytes
      readonly length: Bytes
      readonly applied: boolean
    }
  /** The detach failed; the next exclusive open replaces the attachment. */
  | { readonly what: 'detach-failed'; readonly volume: string; readonly code: ErrorCode }
