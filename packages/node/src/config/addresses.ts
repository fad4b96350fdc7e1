import { isIP, isIPv6 } from 'node:net'
import { AshlarError } from '@ashlar/proto'

/** One end of a TCP connection as a person writes it: a name or an IP address, and a port from 0 to 65535. */
export interface Address {
  readonly host: string
  readonly port: number
}

const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/

/** Reads `host:port`, with brackets around an IPv6 address: `[::1]:7480`. Throws USAGE with what was wrong. */
export function parseAddress(text: string): Address {
  const match = ADDRESS.exec(text)
  const port = Number(match?.[3])
  const host = match?.[1] ?? match?.[2]
  if (match === null || host === undefined || port > 65_535 || (match[1] !== undefined && !isIPv6(match[1]))) {
    throw new AshlarError('USAGE', `"${text}" is not an address`, {
      hint: 'write HOST:PORT, such as 127.0.0.1:7580, n1.example:7580 or [::1]:7580',
    })
  }
  return { host, port }
}

export function formatAddress(address: Address): string {
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** True when only processes of this machine can reach a listener on the host. A name other than localhost may be anyone. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  return isIP(host) === 4 && host.startsWith('127.')
}

/** True for the hosts that mean "every interface": nobody can dial them. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
