import type { HolderResponse } from '@ashlar/node/config'

/** When control last heard of a holder. */
export function lastHeard({ lastHeardMs }: Pick<HolderResponse, 'lastHeardMs'>): string {
  if (lastHeardMs === null || lastHeardMs === undefined) return 'unknown'
  const seconds = Math.round(lastHeardMs / 1000)
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`
}

/** A holder on one line: who, how, since when, when last heard of and through which node. */
export function holderLine(holder: HolderResponse): string {
  const { client, mode, since, through } = holder
  const attached = since === null || since === undefined ? '' : ` since ${since}`
  const over = through === null || through === undefined ? '' : ` through ${through}`
  return `${client} (${mode})${attached}, last heard of ${lastHeard(holder)}${over}`
}
