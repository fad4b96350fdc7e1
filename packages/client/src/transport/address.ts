const ADDRESS = /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?):(\d{1,5})$/i

/** True for `host:port` with a name, an IPv4 address or a bracketed IPv6 address, and a port from 1 to 65535. */
export function isAddress(text: string): boolean {
  const port = Number(ADDRESS.exec(text)?.[3])
  return port >= 1 && port <= 65_535 && URL.canParse(`ws://${text}`)
}
