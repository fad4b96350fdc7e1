import { type AdminCommand, type AdminDone, AshlarError, type BlockIndex, type ExtentId } from '@ashlar/proto'
import type { Input, LoadedBlock, Token } from '../core/machine.ts'
import type { Store } from '../storage/store.ts'
import { PendingCalls } from './pending-calls.ts'
import { RevisionWaits } from './revision-waits.ts'

/** How long a command of the API waits for control, and for this node's map to show its effect. */
const ADMIN_MS = 30_000
/** How long a read of the API waits for the store. */
const LOAD_MS = 30_000

export type AdminResult = Omit<AdminDone, 'type' | 'request'>

/** Calls of the API that wait for the machines or for the store, by tokens of their own. */
export class ApiCalls {
  private readonly feed: (input: Input) => void
  private readonly store: Pick<Store, 'execute'>
  private readonly admins: PendingCalls<AdminResult> = new PendingCalls()
  private readonly loads: PendingCalls<readonly LoadedBlock[]> = new PendingCalls()
  private readonly revisions = new RevisionWaits()
  private lastToken = 0

  constructor(store: Pick<Store, 'execute'>, feed: (input: Input) => void) {
    this.store = store
    this.feed = feed
  }

  /** Hands a command to the machines; resolves with the response of control. */
  admin(command: AdminCommand): Promise<AdminResult> {
    const token = this.newToken()
    this.feed({ type: 'admin', token, command })
    return this.admins.wait(
      token,
      ADMIN_MS,
      () =>
        new AshlarError(
          'TIMEOUT',
          `control did not respond within ${ADMIN_MS / 1000} s; the command may still take effect`,
          { hint: 'run `ashlar cluster info` to see what control waits for' },
        ),
    )
  }

  /** Resolves once the map of this node is at a revision, or when it lags behind: that is no failure of the command. */
  mapAt(revision: number): Promise<void> {
    return this.revisions.wait(revision, ADMIN_MS)
  }

  /** Reads blocks from the store, past the machines. */
  load(extent: ExtentId, blocks: readonly BlockIndex[]): Promise<readonly LoadedBlock[]> {
    const token = this.newToken()
    this.store.execute({ type: 'load', token, extent, blocks })
    return this.loads.wait(
      token,
      LOAD_MS,
      () => new AshlarError('TIMEOUT', `the store did not read ${blocks.length} blocks within ${LOAD_MS / 1000} s`),
    )
  }

  onAdminDone(token: Token, result: AdminResult): void {
    this.admins.resolve(token, result)
  }

  onMapRevision(revision: number): void {
    this.revisions.reach(revision)
  }

  /** Takes a completion of the store that belongs to a read of the API; false: it belongs to the machines. */
  onStoreCompletion(input: Input): boolean {
    if (input.type !== 'loaded' || input.token >= 0) return false
    this.loads.resolve(input.token, input.blocks)
    return true
  }

  endLoads(error: AshlarError): void {
    this.loads.endAll(error)
  }

  endAll(error: AshlarError): void {
    this.admins.endAll(error)
    this.loads.endAll(error)
  }

  /** Negative, so that it never equals a token of the machines. */
  private newToken(): Token {
    return -++this.lastToken
  }
}
