import { isIP } from 'node:net'
import { AshlarError } from '@ashlar/proto'

/** Where to listen. */
export type ListenAddress =
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string }

/** An address that the server listens on. */
export type BoundAddress = ListenAddress & {
  /** What NBD clients call it, without an export name. */
  readonly uri: string
}

const HINT = "write it as '127.0.0.1:10809', '[::1]:10809' or 'unix:/run/ashlar/nbd.sock'"

/** Parses `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. Port 0 takes a free one. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    if (path === '') throw new AshlarError('USAGE', `the listen address ${text} has no path`, { hint: HINT })
    return { type: 'unix', path }
  }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535 || (match?.[1] !== undefined && isIP(host) !== 6)) {
    throw new AshlarError('USAGE', `"${text}" is not an address to listen on`, { hint: HINT })
  }
  return { type: 'tcp', host, port }
}

/** Whether only this machine can reach the address. */
export function isLoopback(address: ListenAddress): boolean {
  if (address.type === 'unix') return true
  return address.host === 'localhost' || address.host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address.host)
}

export function boundAddress(address: ListenAddress, port: number): BoundAddress {
  if (address.type === 'unix') {
    return { ...address, uri: `nbd+unix:///?socket=${encodeURIComponent(address.path).replaceAll('%2F', '/')}` }
  }
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return { ...address, port, uri: `nbd://${host}:${port}` }
}
