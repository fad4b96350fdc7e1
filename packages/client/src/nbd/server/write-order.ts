/** A write that is being executed or waits for its turn. */
export interface WriteTicket {
  readonly offset: number
  readonly end: number
  /** Position in the order of arrival. */
  readonly arrival: number
  /** Earlier writes of the same bytes that are not finished. */
  blockers: number
  readonly onTurn: () => void
  /** Where the ticket is in the list. */
  index: number
}

/**
 * Lets writes of one export run at once unless they overlap; those run in order of arrival, whatever connection they
 * came from. Without this a client that gives a slow connection up, sends the write again on another one and then
 * writes something newer could see the first attempt land last (protocol, finding 9).
 */
export class WriteOrder {
  #tickets: WriteTicket[] = []
  #arrivals = 0

  /**
   * Takes a write in. With no blockers it may start now; otherwise `onTurn` is called when the last of them has left.
   */
  enter(offset: number, length: number, onTurn: () => void): WriteTicket {
    const end = offset + length
    let blockers = 0
    for (const other of this.#tickets) if (other.offset < end && offset < other.end) blockers++
    const ticket = { offset, end, arrival: this.#arrivals++, blockers, onTurn, index: this.#tickets.length }
    this.#tickets.push(ticket)
    return ticket
  }

  /** A write is finished, or will never start; those that waited for it may. */
  leave(ticket: WriteTicket): void {
    const last = this.#tickets.pop() as WriteTicket
    if (last !== ticket) {
      this.#tickets[ticket.index] = last
      last.index = ticket.index
    }
    const ready: WriteTicket[] = []
    for (const other of this.#tickets) {
      if (other.blockers === 0 || other.arrival < ticket.arrival) continue
      if (other.offset < ticket.end && ticket.offset < other.end && --other.blockers === 0) ready.push(other)
    }
    for (const other of ready) other.onTurn()
  }
}
