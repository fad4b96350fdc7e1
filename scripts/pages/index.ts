import type { Tree } from '../tidy/tree.ts'
import { cliPage } from './cli.ts'
import { errorsPage } from './errors.ts'
import { limitsPage } from './limits.ts'
import { metricsPage } from './metrics.ts'
import { optionsPage } from './options.ts'
import { protocolMapPage } from './protocol-map.ts'

/** Every page that is made from the sources, by its path. */
export const GENERATED_PAGES: Readonly<Record<string, (tree: Tree) => string | Promise<string>>> = {
  'docs/internals/protocol-map.md': protocolMapPage,
  'docs/operating/cli.md': cliPage,
  'docs/operating/errors.md': errorsPage,
  'docs/operating/limits.md': limitsPage,
  'docs/operating/metrics.md': metricsPage,
  'docs/operating/options.md': optionsPage,
}
