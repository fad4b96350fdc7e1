import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const DASHBOARDS: string = fileURLToPath(new URL('../../dashboards', import.meta.url))

export interface Panel {
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: { readonly uid: string }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

export interface Dashboard {
  readonly uid: string
  readonly panels: readonly Panel[]
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(`${DASHBOARDS}/ashlar.json`, 'utf8')) as Dashboard
}

/** A query as Prometheus gets it once Grafana has filled its variables in. */
export function filledIn(expr: string): string {
  return expr.replaceAll('$__rate_interval', '1m').replaceAll('$volume', '.*')
}
