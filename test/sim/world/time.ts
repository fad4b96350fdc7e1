/**
 * Virtual time. Events run in the order of their moment, and events of one moment in the order in which they were asked
 * for, so a run is a function of its seed. Moments are milliseconds, cut to whole microseconds so that sums of them do not
 * depend on the order of additions.
 */
export class Clock {
  private readonly heap: Event[] = []
  private order = 0
  private moment = 0

  /** Milliseconds since the simulation began: true time, which no host knows. */
  get now(): number {
    return this.moment
  }

  get pending(): number {
    return this.heap.length
  }

  /** Runs `action` after `delayMs`; never before what is already due at that moment. */
  after(delayMs: number, action: () => void): void {
    const at = Math.round((this.moment + Math.max(0, delayMs)) * 1000) / 1000
    this.push({ at, order: this.order++, action })
  }

  at(moment: number, action: () => void): void {
    this.after(moment - this.moment, action)
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const event = this.pop()
    if (event === undefined) return false
    this.moment = event.at
    event.action()
    return true
  }

  private push(event: Event): void {
    const heap = this.heap
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent] as Event
      if (before(above, event)) break
      heap[index] = above
      index = parent
    }
    heap[index] = event
  }

  private pop(): Event | undefined {
    const heap = this.heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++
      if (before(last, heap[child] as Event)) break
      heap[index] = heap[child] as Event
      index = child
    }
    heap[index] = last
    return first
  }
}

interface Event {
  readonly at: number
  readonly order: number
  readonly action: () => void
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
