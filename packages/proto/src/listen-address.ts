import { type Address, formatAddress, isLoopback, readAddress } from './addresses.ts'
import { AshlarError } from './errors.ts'

/** Where to listen for NBD clients. */
export type ListenAddress = ({ readonly type: 'tcp' } & Address) | { readonly type: 'unix'; readonly path: string }

const UNIX = 'unix:'
const HINT = "Write it as '127.0.0.1:10809', '[::1]:10809' or 'unix:/run/ashlar/nbd.sock'"

/** Reads `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`; port 0 means a free one. Throws USAGE with what was wrong. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith(UNIX)) {
    const path = text.slice(UNIX.length)
    if (path === '') throw new AshlarError('USAGE', `"${text}" has no path: it is not an address`, { hint: HINT })
    return { type: 'unix', path }
  }
  const address = readAddress(text)
  if (address === undefined) throw new AshlarError('USAGE', `"${text}" is not an address to listen on`, { hint: HINT })
  return { type: 'tcp', ...address }
}

export function formatListenAddress(address: ListenAddress): string {
  return address.type === 'unix' ? `${UNIX}${address.path}` : formatAddress(address)
}

/** True when only this machine can reach the address. */
export function isLocal(address: ListenAddress): boolean {
  return address.type === 'unix' || isLoopback(address.host)
}

/** What NBD clients call an export behind a listener (NBD URI specification); without a name, the listener itself. */
export function nbdUri(address: ListenAddress, exportName = ''): string {
  const name = encodeURIComponent(exportName)
  if (address.type === 'tcp') return `nbd://${formatAddress(address)}${name === '' ? '' : `/${name}`}`
  return `nbd+unix:///${name}?socket=${encodeURIComponent(address.path).replaceAll('%2F', '/')}`
}
