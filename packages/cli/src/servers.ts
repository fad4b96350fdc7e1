/** The API of a node that a command may use. */
export interface Server {
  readonly url: string
  /** Name of the node, where it is known. */
  readonly node?: string
}

/** Why a server was passed over: no request was executed there. */
export interface Failure {
  readonly server: Server
  readonly because: string
}

/** Where the servers of a command come from. */
export interface ServerSource {
  /** Groups of servers, the preferred ones first: one of the next group is used only where none of this one responds. */
  readonly groups: () => Promise<readonly (readonly Server[])[]>
  /** What to do when none responds. */
  readonly advice: (failures: readonly Failure[]) => Promise<string>
}

/** A node gets this long to report whether it is ready, before a command uses another one. */
const PROBE_MS = 1000

/** The servers of one command, in the order in which they are tried. */
export class Servers {
  private readonly source: ServerSource
  private order: Promise<Server[]> | undefined

  constructor(source: ServerSource) {
    this.source = source
  }

  /** A list that does not grow, without advice. */
  static of(servers: readonly Server[]): Servers {
    return new Servers({ groups: async () => [servers], advice: async () => '' })
  }

  inOrder(): Promise<readonly Server[]> {
    this.order ??= this.source.groups().then(orderOf)
    return this.order
  }

  /** The server that responded is tried first from now on. */
  async prefer(server: Server): Promise<void> {
    const order = await this.inOrder()
    this.order = Promise.resolve([server, ...order.filter(({ url }) => url !== server.url)])
  }

  /** Looks again which of them is ready, in whatever group. */
  async reconsider(): Promise<void> {
    this.order = orderOf([await this.inOrder()])
    await this.order
  }

  /** Adds nodes that a server named, to be tried last. */
  async remember(nodes: readonly Server[]): Promise<void> {
    this.order = Promise.resolve(unique([...(await this.inOrder()), ...nodes]))
  }

  /** Message and hint of a call to which no server responded. */
  async describe(failures: readonly Failure[]): Promise<{ readonly message: string; readonly hint: string }> {
    const tried = failures.map(({ server, because }) => `${nameOf(server)} (${because})`)
    return { message: `no node responds: ${tried.join(', ')}`, hint: await this.source.advice(failures) }
  }
}

function nameOf({ node, url }: Server): string {
  return node === undefined ? url : `${node} at ${url}`
}

/** A node that is ready may know more than one that only listens: within the first group of which any responds, it comes first. */
async function orderOf(groups: readonly (readonly Server[])[]): Promise<Server[]> {
  const all = unique(groups.flat())
  const first = groups.find((group) => group.length > 0) ?? []
  // A single server that is named, or known, gets the request itself.
  if (first.length < 2) return all
  const states = new Map<string, Promise<State>>()
  for (const group of groups) {
    // All of a group are probed at once, so that silent ones cost one pause together.
    for (const { url } of group) if (!states.has(url)) states.set(url, probe(url))
    const ready = await firstIn(group, states, ['ready'])
    const found = ready ?? (await firstIn(group, states, ['responds']))
    if (found !== undefined) return unique([found, ...all])
  }
  return all
}

type State = 'ready' | 'responds' | 'silent'

async function firstIn(
  group: readonly Server[],
  states: ReadonlyMap<string, Promise<State>>,
  wanted: readonly State[],
): Promise<Server | undefined> {
  for (const server of group) if (wanted.includes((await states.get(server.url)) ?? 'silent')) return server
  return undefined
}

async function probe(url: string): Promise<State> {
  try {
    const response = await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(PROBE_MS) })
    await response.body?.cancel()
    return response.ok ? 'ready' : 'responds'
  } catch {
    return 'silent'
  }
}

function unique(servers: readonly Server[]): Server[] {
  const byUrl = new Map<string, Server>()
  for (const server of servers) {
    const known = byUrl.get(server.url)
    // The first keeps its place, and gets a name where only a later one has it.
    byUrl.set(server.url, known === undefined || known.node !== undefined ? (known ?? server) : server)
  }
  return [...byUrl.values()]
}
