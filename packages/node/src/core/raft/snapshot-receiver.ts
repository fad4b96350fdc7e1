import type { InstallSnapshot } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { Core } from './roles/role.ts'

interface Incoming {
  readonly index: number
  readonly indexTerm: number
  readonly state: Uint8Array
  received: number
}

/** The follower's end of a snapshot: gathers its parts, in order, and puts it in the place of the log. */
export class SnapshotReceiver {
  private readonly core: Core
  private incoming: Incoming | undefined

  constructor(core: Core) {
    this.core = core
  }

  onPart(ctx: Context, part: InstallSnapshot): void {
    const { log } = this.core
    const { from: to, round, index, indexTerm } = part
    // A late one must not take the place of what is newer; and what the log holds already needs no snapshot.
    if (index <= log.commit || log.termAt(index) === indexTerm) {
      log.commitTo(index)
      return this.accept(part, log.commit)
    }
    const incoming = this.incomingFor(part)
    if (part.offset === incoming.received && part.offset + part.bytes.length <= part.totalBytes) {
      incoming.state.set(part.bytes, part.offset)
      incoming.received += part.bytes.length
    }
    if (incoming.received < part.totalBytes)
      return this.core.send({ type: 'snapshot-received', to, round, index, offset: incoming.received })
    this.incoming = undefined
    const { voters, learners } = part
    log.restore({ index, term: indexTerm, members: { voters, learners }, state: incoming.state })
    ctx.event('info', 'raft-snapshot-received', { index, bytes: part.totalBytes })
    this.accept(part, index)
  }

  private incomingFor(part: InstallSnapshot): Incoming {
    const { index, indexTerm, totalBytes } = part
    const { index: at, indexTerm: term, state } = this.incoming ?? {}
    if (this.incoming !== undefined && at === index && term === indexTerm && state?.length === totalBytes)
      return this.incoming
    this.incoming = { index, indexTerm, state: new Uint8Array(totalBytes), received: 0 }
    return this.incoming
  }

  private accept(part: InstallSnapshot, match: number): void {
    const { from: to, round } = part
    this.core.send({ type: 'appended', to, round, accepted: true, match, hintIndex: 0, hintTerm: 0 })
  }
}
