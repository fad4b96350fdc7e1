import { type OptionTable, SERVER_OPTIONS } from '@ashlar/node/config'
import { GATEWAY_OPTIONS } from '../../packages/cli/src/gateway/options.ts'
import { environmentName } from '../../packages/node/src/config/table.ts'
import { code, page, table } from './page.ts'

export function optionsPage(): string {
  return page('Options', [
    'Each option is a flag, an environment variable and, for `server run`, a key of the YAML file of `--config`, in that order of precedence. `--print-config` prints every value with its source. Options of the client library: [../client.md](../client.md). What is no option: [limits.md](limits.md).',
    '## ashlar server run',
    optionTable(SERVER_OPTIONS),
    '## ashlar gateway run',
    optionTable(GATEWAY_OPTIONS),
  ])
}

function optionTable(options: OptionTable): string {
  return table(
    ['Flag', 'Variable', 'Default', 'Meaning', 'Cost'],
    Object.values(options).map((spec) => [
      code(spec.placeholder === undefined ? `--${spec.name}` : `--${spec.name} ${spec.placeholder}`),
      code(environmentName(spec)),
      spec.defaultText ?? (spec.default === undefined ? 'none' : spec.print(spec.default)),
      spec.meaning,
      spec.cost,
    ]),
  )
}
