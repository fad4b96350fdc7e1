import { AshlarError } from './errors.ts'

/** One end of a TCP connection: a name or an IP address without brackets, and a port from 0 to 65535. */
export interface Address {
  readonly host: string
  readonly port: number
}

const ADDRESS = /^(?:\[([^\]]*)\]|([^:[\]]+)):(\d{1,5})$/
const NAME = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?$/i
/** What a URL takes for an IPv4 address, right or wrong: its last label is a number. */
const NUMERIC_END = /(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/i
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/
const IPV6_GROUP = /^[0-9a-f]{1,4}$/i
const IPV6_GROUPS = 8

/** Reads `host:port`, with brackets around an IPv6 address: `[::1]:7480`. Undefined for anything else. */
export function readAddress(text: string): Address | undefined {
  const [matched, ipv6, name, digits] = ADDRESS.exec(text) ?? []
  const port = Number(digits)
  if (matched === undefined || port > 65_535) return undefined
  if (ipv6 !== undefined) return isIpv6(ipv6) ? { host: ipv6, port } : undefined
  return name !== undefined && isHost(name) ? { host: name, port } : undefined
}

/** `readAddress` that throws USAGE with what was wrong. */
export function parseAddress(text: string): Address {
  const address = readAddress(text)
  if (address !== undefined) return address
  throw new AshlarError('USAGE', `"${text}" is not an address`, {
    hint: 'Write HOST:PORT, such as 127.0.0.1:7580, n1.example:7580 or [::1]:7580',
  })
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** True for an address that can be dialed, so that `ws://` and the text are a URL: it may come from another node. */
export function isDialable(text: string): boolean {
  const port = readAddress(text)?.port ?? 0
  return port > 0
}

/**
 * True when only processes of this machine can reach a listener on the host. A name other than localhost may resolve to
 * any address.
 */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (IPV4.test(host) && host.startsWith('127.'))
}

/** True for the hosts that mean "every interface": they cannot be dialed. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function isHost(text: string): boolean {
  return IPV4.test(text) || (NAME.test(text) && !NUMERIC_END.test(text))
}

/** RFC 4291 section 2.2, without zones: eight groups, or fewer with one `::`; the last two may be written as IPv4. */
function isIpv6(text: string): boolean {
  const halves = text.split('::')
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const last = groups.at(-1) ?? ''
  const endsWithIpv4 = IPV4.test(last) && text.endsWith(last)
  const written = endsWithIpv4 ? groups.slice(0, -1) : groups
  if (halves.length > 2 || !written.every((group) => IPV6_GROUP.test(group))) return false
  const count = endsWithIpv4 ? written.length + 2 : written.length
  return halves.length === 2 ? count < IPV6_GROUPS : count === IPV6_GROUPS
}
