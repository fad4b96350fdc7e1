import { type NodeEnd, parseAddress, type StoreId } from '@ashlar/proto'
import { STOPPING } from '../transport/index.ts'
import { nodeName } from './health.ts'
import { localResponse } from './local.ts'
import type { NodeView } from './node-view.ts'
import type { NodeEndResponse, PeerResponse, SightResponse, WhyDownResponse } from './peer-schema.ts'
import type { PeerResponses } from './peers.ts'
import type { LocalResponse } from './schemas.ts'
import { readLog, startNode } from './todo.ts'
import { endLine, endResponse, giveDirectoryBack, mendEnd } from './why-ended.ts'

/** Why a node is down, from what its peers last saw of it, and what can help. */

/** A node, also one that the map does not have yet. */
type Named = { readonly name: string; readonly address: string; readonly ended?: NodeEnd }

/** What each node that responded, this one included, last saw of a node. */
export function sightsOf(view: NodeView, locals: PeerResponses<LocalResponse>, node: Named): SightResponse[] {
  const reported = [...locals].flatMap(([store, answer]) =>
    answer.answered && store !== view.store ? [{ by: nodeName(view.map, store), peers: answer.value.peers }] : [],
  )
  return [{ by: view.name as string, peers: localResponse(view).peers }, ...reported].flatMap(({ by, peers }) =>
    peers.filter(({ address }) => address === node.address && address !== '').map((saw) => ({ by, saw })),
  )
}

export function whyDown(view: NodeView, node: Named, sights: readonly SightResponse[]): WhyDownResponse {
  if (node.address === '')
    return { because: [`another store took over the name or the address of ${node.name}`], todo: [] }
  const ended = lastEnd(node, sights)
  const because = [
    ...(ended === undefined ? [] : [endLine(ended)]),
    ...[...stateLines(sights), ...refusalLines(node, sights), ...(ended === undefined ? endOfLinks(sights) : [])],
  ]
  return { because, todo: actions(view, node, sights) }
}

/** What the node reported itself, to control or, where that could not note it, to its peers. */
function lastEnd({ ended }: Named, sights: readonly SightResponse[]): NodeEndResponse | undefined {
  const reports = sights.flatMap(({ saw: { reported } }) => (reported === null ? [] : [reported]))
  if (ended !== undefined) reports.push(endResponse(ended))
  return reports.toSorted((a, b) => b.at.localeCompare(a.at))[0]
}

// ---- what is seen ---------------------------------------------------------------------------------------------------

/** One line for each state, with all that see it. */
function stateLines(sights: readonly SightResponse[]): string[] {
  const byState = Map.groupBy(sights, ({ saw }) => saw.state)
  return [...byState.values()].flatMap((same) => {
    const [first] = same.toSorted((a, b) => a.saw.since.localeCompare(b.saw.since))
    const who = listed(same.map(({ by }) => by))
    return first === undefined ? [] : lineOf(first.saw, who, same.length > 1)
  })
}

function lineOf({ address, state, since, detail, pid }: PeerResponse, who: string, several: boolean): string[] {
  const process = pid === null ? 'its process' : `process ${pid}`
  switch (state) {
    case 'refused':
      return [`${address} has refused connections from ${who} since ${since}: no process listens there (${detail})`]
    case 'silent':
      return [
        `${address} accepts connections from ${who}, but nothing has answered there since ${since}: ${process} is stopped or hangs, or waits for its disk`,
      ]
    case 'unreachable':
      return [
        `${address} has not been reachable from ${who} since ${since} (${detail}): its host is down, or the network between them is`,
      ]
    case 'broken':
      return isForeign(detail)
        ? [`another program has answered ${who} at ${address} since ${since} (${detail})`]
        : [`connections from ${who} to ${address} have ended within the handshake since ${since} (${detail})`]
    case 'connected':
      return [`${who} ${several ? 'have' : 'has'} a link to ${address} since ${since}, and its process answers there`]
    case 'closed':
    case 'connecting':
    case 'handshake-refused':
      return []
  }
}

/** The refusing side, quoted. */
function refusalLines({ name }: Named, sights: readonly SightResponse[]): string[] {
  return sights.flatMap(({ by, saw: { refusal } }) => {
    if (refusal === null) return []
    const [refusing, refused] = refusal.by === 'this node' ? [by, name] : [name, by]
    return [`${refusing} refused the handshake of ${refused} at ${refusal.at}: "${refusal.words}"`]
  })
}

/** How the last link of all ended: a node that stops closes its links. */
function endOfLinks(sights: readonly SightResponse[]): string[] {
  const ends = sights.flatMap(({ by, saw: { state, lastLink } }) =>
    lastLink === null || state === 'connected' || state === 'silent' ? [] : [{ by, ...lastLink }],
  )
  const last = ends.toSorted((a, b) => b.endedAt.localeCompare(a.endedAt))[0]
  if (last === undefined) return []
  const stopped = last.reason.includes(STOPPING) ? 'its process was asked to stop' : 'no stop was announced'
  return [`its last link to ${last.by} ended at ${last.endedAt} (${last.reason}): ${stopped}`]
}

function isForeign(detail: string): boolean {
  return detail.startsWith('Unexpected server response')
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

// ---- what can help --------------------------------------------------------------------------------------------------

/** Never a start that its end, or the last refusal, would meet again. */
function actions(view: NodeView, node: Named, sights: readonly SightResponse[]): string[] {
  const saw = (state: PeerResponse['state']) => sights.find((sight) => sight.saw.state === state)?.saw
  const silent = saw('silent')
  if (silent !== undefined) return wakeOrEnd(view, node, silent)
  const refusal = sights.find(({ saw: { refusal } }) => refusal !== null)?.saw.refusal
  const ended = lastEnd(node, sights)
  if (ended !== undefined && ended.at > (refusal?.at ?? '')) return mendEnd(view, node.name, ended)
  if (refusal?.code === 'CONFLICT') return [giveDirectoryBack(node.name), `then ${startNode(view, node.name)}`]
  if (refusal !== undefined && refusal !== null)
    return [`do what the refusal of the handshake says, then ${startNode(view, node.name)}`]
  const { host, port } = parseAddress(node.address)
  const foreign = saw('broken')
  if (foreign !== undefined && isForeign(foreign.detail))
    return [
      `${onHost(host)}see which program listens at the address of ${node.name}: ss -ltnp 'sport = :${port}'`,
      `end that program, then ${startNode(view, node.name)}`,
    ]
  if (saw('unreachable') !== undefined)
    return [
      `check that the host of ${node.name} is up, and that its network and firewall let this pass: nc -vz ${host} ${port}`,
      startNode(view, node.name),
    ]
  if (saw('connected') !== undefined)
    return [readLog(view, node.name, 'since its process runs and does not renew its lease')]
  return [startNode(view, node.name)]
}

function wakeOrEnd(view: NodeView, { name, address }: Named, { pid }: PeerResponse): string[] {
  const { host, port } = parseAddress(address)
  const there = onHost(host)
  const see = `${there}see whether the process of ${name} is stopped (STAT begins with T) or waits for its disk (D)`
  if (pid === null) return [`${see}: ps -o pid,stat,args -p $(fuser ${port}/tcp 2>/dev/null)`]
  return [
    `${see}: ps -o pid,stat,args -p ${pid}`,
    `if ${name} is stopped, continue it: kill -CONT ${pid}`,
    `if ${name} hangs, or its disk does, end it: kill -KILL ${pid}`,
    `after that, and with a disk that works, ${startNode(view, name)}`,
  ]
}

function onHost(host: string): string {
  return host === '127.0.0.1' || host === '::1' || host === 'localhost' ? '' : `on host ${host}: `
}

/** What helps a node that is down or silent. */
export function mendNode(view: NodeView, locals: PeerResponses<LocalResponse>, node: Named): readonly string[] {
  return whyDown(view, node, sightsOf(view, locals, node)).todo
}

/** Of a volume or an extent: what helps each node that is down, which may not be a start. */
export function mendDownNodes(view: NodeView, locals: PeerResponses<LocalResponse>): string[] {
  const down = [...view.map.nodes.values()].filter((node) => node.state === 'down' && holdsReplicas(view, node.store))
  return down.flatMap((node) => mendNode(view, locals, node))
}

function holdsReplicas(view: NodeView, store: StoreId): boolean {
  for (const extent of view.map.extents.values()) if (extent.assigned.includes(store)) return true
  return false
}
