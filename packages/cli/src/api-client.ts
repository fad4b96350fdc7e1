import type {
  ApiError,
  ChangeMembersRequest,
  ClusterResponse,
  ControlMembersResponse,
  CreateVolumeRequest,
  DetachReport,
  ExplanationResponse,
  ExtentResponse,
  ForceReport,
  ForceRequest,
  HeldVolumeResponse,
  LocalResponse,
  LoseReport,
  NodeDetailsResponse,
  NodeResponse,
  ScrubRequest,
  ScrubResponse,
  VersionsResponse,
  VolumeResponse,
} from '@ashlar/node/config'
import { AshlarError, ERRORS, type ErrorCode, isDialable } from '@ashlar/proto'
import { type Failure, type Server, Servers } from './servers.ts'

/** Longer than a node waits for control, so that the error of the node arrives first. */
const REQUEST_TIMEOUT_MS = 45_000
/** A node that is silent for this long is passed over where another one can be read from. No report takes as long. */
const SILENT_MS = 5000

interface Request {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly body?: unknown
  readonly timeoutMs?: number
}

/** The API of a cluster, through the first of some nodes that responds. Every call rejects with AshlarError. */
export class ApiClient {
  private readonly servers: Servers

  /** `servers`: base addresses such as `http://127.0.0.1:7480`, or where to find them. */
  constructor(servers: Servers | readonly (string | Server)[]) {
    const listed = (server: string | Server): Server => (typeof server === 'string' ? { url: server } : server)
    this.servers = servers instanceof Servers ? servers : Servers.of(servers.map(listed))
  }

  cluster(timeoutMs?: number): Promise<ClusterResponse> {
    return this.call('/v1/cluster', timeoutMs === undefined ? {} : { timeoutMs })
  }

  controlMembers(): Promise<ControlMembersResponse> {
    return this.call('/v1/control')
  }

  changeMembers(request: ChangeMembersRequest): Promise<ControlMembersResponse> {
    return this.call('/v1/control/members', { method: 'POST', body: request })
  }

  transferLeadership(node: string): Promise<ControlMembersResponse> {
    return this.call('/v1/control/leader', { method: 'POST', body: { node } })
  }

  /** The nodes of the cluster; later calls use those that are up where no server responds that is known already. */
  async nodes(): Promise<NodeResponse[]> {
    const nodes = await this.call<NodeResponse[]>('/v1/nodes')
    const usable = nodes.filter(({ state, api }) => state !== 'down' && isDialable(api ?? ''))
    await this.servers.remember(usable.map(({ id, api }) => ({ node: id, url: `http://${api}` })))
    return nodes
  }

  node(id: string): Promise<NodeDetailsResponse> {
    return this.call(`/v1/nodes/${encodeURIComponent(id)}`)
  }

  volumes(): Promise<VolumeResponse[]> {
    return this.call('/v1/volumes')
  }

  volume(name: string): Promise<VolumeResponse> {
    return this.call(`/v1/volumes/${encodeURIComponent(name)}`)
  }

  createVolume(request: CreateVolumeRequest): Promise<VolumeResponse> {
    return this.call('/v1/volumes', { method: 'POST', body: request })
  }

  async removeVolume(name: string): Promise<void> {
    await this.call(`/v1/volumes/${encodeURIComponent(name)}`, { method: 'DELETE' })
  }

  /** Sessions that hold volumes. */
  holders(): Promise<HeldVolumeResponse[]> {
    return this.call('/v1/holders')
  }

  extents(volume: string): Promise<ExtentResponse[]> {
    return this.call(`/v1/volumes/${encodeURIComponent(volume)}/extents`)
  }

  /** What a forced promotion may lose; changes nothing. */
  forceReport(volume: string, extent: number, node: string): Promise<ForceReport> {
    return this.call(`${forcePath(volume, extent)}/${encodeURIComponent(node)}`)
  }

  forcePrimary(volume: string, extent: number, request: ForceRequest): Promise<ExtentResponse> {
    return this.call(forcePath(volume, extent), { method: 'POST', body: request })
  }

  acknowledgeLoss(volume: string): Promise<VolumeResponse> {
    return this.call(`/v1/volumes/${encodeURIComponent(volume)}/acknowledge-loss`, { method: 'POST' })
  }

  /** What ending sessions of a volume would fence; changes nothing. Absent: all that hold it. */
  detachReport(volume: string, sessions: readonly number[] | undefined): Promise<DetachReport> {
    const query = sessions === undefined ? '' : `?sessions=${sessions.join(',')}`
    return this.call(`/v1/volumes/${encodeURIComponent(volume)}/detach${query}`)
  }

  detach(volume: string, sessions: readonly number[]): Promise<DetachReport> {
    const body = { sessions, fence: true }
    return this.call(`/v1/volumes/${encodeURIComponent(volume)}/detach`, { method: 'POST', body })
  }

  /** What declaring a node permanently lost would cost; changes nothing. */
  loseReport(id: string): Promise<LoseReport> {
    return this.call(`/v1/nodes/${encodeURIComponent(id)}/lost`)
  }

  loseNode(id: string): Promise<LoseReport> {
    return this.call(`/v1/nodes/${encodeURIComponent(id)}/lost`, { method: 'POST', body: { acceptDataLoss: true } })
  }

  /** `name`: of a volume, a node or an extent; none for the cluster. */
  explain(kind: ExplanationResponse['kind'], name: string | undefined): Promise<ExplanationResponse> {
    const path = name === undefined ? [] : name.split('/').map(encodeURIComponent)
    return this.call(`/v1/explain/${[kind, ...path].join('/')}`)
  }

  local(timeoutMs?: number): Promise<LocalResponse> {
    return this.call('/v1/local', timeoutMs === undefined ? {} : { timeoutMs })
  }

  /** The scrub of the node that responds. */
  scrub(): Promise<ScrubResponse> {
    return this.call(SCRUB_PATH)
  }

  commandScrub(request: ScrubRequest): Promise<ScrubResponse> {
    return this.call(SCRUB_PATH, { method: 'POST', body: request })
  }

  versions(extent: number, firstBlock: number): Promise<VersionsResponse> {
    return this.call(`/v1/local/extents/${extent}/versions?firstBlock=${firstBlock}`)
  }

  /** Later calls use a node that is ready now, where there is one, also one that only another node names. */
  async reconsider(): Promise<void> {
    await this.nodes().catch(() => undefined)
    await this.servers.reconsider()
  }

  private async call<T>(path: string, request: Request = {}): Promise<T> {
    const servers = await this.servers.inOrder()
    const failures: Failure[] = []
    for (const [at, server] of servers.entries()) {
      const response = await send(server.url, path, request, at < servers.length - 1)
      if (typeof response === 'string') failures.push({ server, because: response })
      else {
        if (at > 0) await this.servers.prefer(server)
        return await read<T>(server.url, response)
      }
    }
    const { message, hint } = await this.servers.describe(failures)
    throw new AshlarError('NO_CONTROL', message, { hint })
  }
}

const SCRUB_PATH = '/v1/local/scrub'

function forcePath(volume: string, extent: number): string {
  return `/v1/volumes/${encodeURIComponent(volume)}/extents/${extent}/force-primary`
}

/**
 * Returns the response, or a reason when the server cannot have received the request, so that the caller tries the next
 * server. `hasNext`: a read also returns a reason when the server is silent or the connection breaks. Throws for any
 * other failure.
 */
async function send(server: string, path: string, request: Request, hasNext: boolean): Promise<Response | string> {
  const { method = 'GET', body, timeoutMs = REQUEST_TIMEOUT_MS } = request
  const mayPass = hasNext && method === 'GET'
  const waitMs = mayPass ? Math.min(timeoutMs, SILENT_MS) : timeoutMs
  try {
    return await fetch(new URL(path, server), {
      method,
      // AbortSignal takes whole milliseconds only, and the rest of a deadline is a fraction.
      signal: AbortSignal.timeout(Math.ceil(waitMs)),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
  } catch (error) {
    const refused = refusalOf(error)
    if (refused !== undefined) return refused
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      if (mayPass) return `it did not respond within ${waitMs / 1000} s`
      throw new AshlarError('TIMEOUT', `${server} did not respond within ${timeoutMs / 1000} s`, {
        hint: 'its process may be stopped or hang: name another node with --server',
        cause: error,
      })
    }
    if (mayPass) return `the connection failed: ${causeOf(error)}`
    throw new AshlarError('NO_CONTROL', `the connection to ${server} failed: ${causeOf(error)}`, {
      hint: 'check whether the node runs, and whether it executed the request',
      cause: error,
    })
  }
}

async function read<T>(server: string, response: Response): Promise<T> {
  if (response.status === 204) return undefined as T
  const text = await response.text()
  const data = parseJson(text)
  if (response.ok && data !== undefined) return data as T
  const failure = (data as Partial<ApiError> | undefined)?.error
  if (failure === undefined) {
    throw new AshlarError(
      'INTERNAL',
      `${server} responded with status ${response.status} and a body that is not of the Ashlar API`,
      {
        hint: 'check that --server is the API address of a node, not its peer or NBD address',
      },
    )
  }
  const code: ErrorCode = Object.hasOwn(ERRORS, failure.code) ? failure.code : 'INTERNAL'
  throw new AshlarError(code, failure.message, failure.hint === '' ? {} : { hint: failure.hint })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Failures after which no node can have received the request. */
const REFUSED: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'no process listens there',
  ENOTFOUND: 'the name of its host is unknown',
  EHOSTUNREACH: 'its host is not reachable',
  ENETUNREACH: 'its network is not reachable',
  UND_ERR_CONNECT_TIMEOUT: 'its host does not respond',
}

function refusalOf(error: unknown): string | undefined {
  const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined
  return REFUSED[cause?.code ?? '']
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
