import { writeFileSync } from 'node:fs'
import { removeNamespaces } from './namespaces.ts'
import { NetCluster } from './net-cluster.ts'
import { Wire } from './wire.ts'

/** What a program inside of the workload's namespace gets as input, as JSON in its one argument. */
export interface InsideOptions<Options> {
  /** What it is to do. */
  readonly options: Options
  /** Storage nodes, which are places too. */
  readonly nodes: readonly string[]
  /** Of data and logs. */
  readonly directory: string
  readonly reportFile: string
  /** Namespaces by place, in the order of their addresses. */
  readonly namespaces: Readonly<Record<string, string>>
  /** The namespace in which the devices of the wire are made. */
  readonly home: string
}

/** Ends the program, and removes the namespaces, when the process that started it has ended: no other would then. */
export function enterNetwork<Options>(): InsideOptions<Options> {
  const inside = JSON.parse(process.argv[2] ?? '') as InsideOptions<Options>
  process.stdin.resume().once('end', () => {
    removeNamespaces([...Object.values(inside.namespaces), inside.home])
    process.exit(1)
  })
  return inside
}

/** Connects the places by a wire; the cluster over it is not started. `seed` decides the packets' fates. */
export async function buildNetwork(
  { nodes, directory, namespaces, home }: InsideOptions<unknown>,
  seed: number,
  voters?: number,
): Promise<{ wire: Wire; cluster: NetCluster }> {
  const namespaceOf = (place: string): string => {
    const namespace = namespaces[place]
    if (namespace === undefined) throw new Error(`${place} has no namespace`)
    return namespace
  }
  const wire = await Wire.start(home, Object.keys(namespaces), namespaceOf, seed)
  const addressOf = (place: string): string => wire.addressOf(place)
  return { wire, cluster: new NetCluster({ nodes, voters, directory, namespaceOf, addressOf }) }
}

/** Sends the report, as far as it is, to the process that started the program. */
export function handReport({ reportFile }: InsideOptions<unknown>, report: object): void {
  writeFileSync(reportFile, JSON.stringify(report))
}
