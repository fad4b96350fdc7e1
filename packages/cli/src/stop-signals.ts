import type { Readable } from 'node:stream'

/** Set by `ashlar dev` for its children: the end of standard input, which is the end of dev, stops them. */
export const STOP_WITH_INPUT = 'ASHLAR_STOP_WITH_INPUT'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

export interface StopRequests {
  /** Resolves with the source of the first stop request. */
  readonly asked: Promise<string>
  /** Ends the watch, so that nothing keeps the process alive. */
  release(): void
}

/**
 * Watches for stop requests: SIGTERM, SIGINT, SIGHUP, or the end of standard input where
 * ASHLAR_STOP_WITH_INPUT is set. A SIGINT after an earlier stop request calls `now`: a person does not want to wait. A
 * repeated SIGTERM does not, since two programs may each send one.
 */
export function stopRequests(
  now: () => void,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  input: Readable = process.stdin,
): StopRequests {
  const { promise: asked, resolve } = Promise.withResolvers<string>()
  let asking = false
  const ask = (why: string): void => {
    if (asking && why === 'SIGINT') now()
    asking = true
    resolve(why)
  }
  const listeners = SIGNALS.map((signal) => ({ signal, listener: () => ask(signal) }))
  for (const { signal, listener } of listeners) process.on(signal, listener)
  const watchesInput = environment[STOP_WITH_INPUT] === '1'
  if (watchesInput) {
    for (const event of ['end', 'error']) input.on(event, () => ask('the end of ashlar dev'))
    input.resume()
  }
  return {
    asked,
    release() {
      for (const { signal, listener } of listeners) process.off(signal, listener)
      if (watchesInput) input.destroy()
    },
  }
}
