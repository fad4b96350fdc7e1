/**
 * A bounded number of operations at once. The first failure is kept: `add` and `settled` reject with it, and nothing more
 * is begun. `settled` waits for all that were begun, failed or not.
 */
export class InFlight {
  private readonly limit: number
  private readonly running = new Set<Promise<void>>()
  private failure: { readonly error: unknown } | undefined

  constructor(limit: number) {
    this.limit = limit
  }

  /** Begins the work once there is room for it. */
  async add(work: () => Promise<void>): Promise<void> {
    while (this.running.size >= this.limit && this.failure === undefined) await Promise.race(this.running)
    if (this.failure !== undefined) throw this.failure.error
    const running: Promise<void> = work().then(
      () => this.end(running),
      (error: unknown) => {
        this.failure ??= { error }
        this.end(running)
      },
    )
    this.running.add(running)
  }

  async settled(): Promise<void> {
    await Promise.all(this.running)
    if (this.failure !== undefined) throw this.failure.error
  }

  private end(running: Promise<void>): void {
    this.running.delete(running)
  }
}
