import { formatBytes } from '@ashlar/node/config'
import { CLOCK_DRIFT, LIMITS, leaseExpiryMs, TIMERS } from '@ashlar/proto'
import { fileAt, type Tree } from '../tidy/tree.ts'
import { code, page, table } from './page.ts'
import { commentedRows } from './source-table.ts'

const SOURCE = 'packages/proto/src/limits.ts'

export function limitsPage(tree: Tree): string {
  const source = fileAt(tree, SOURCE)?.text ?? ''
  const rows = (name: string, values: Readonly<Record<string, number>>): string[][] =>
    commentedRows(source, name).map(({ keys, comment }) => [
      keys.map(code).join(', '),
      keys.map((key) => shown(key, values[key])).join(', '),
      comment,
    ])
  const conditions = [...source.matchAll(/^holds\([\s\S]*?(['"])(.*?)\1,?\s*\)$/gm)].map(([, , words]) => `- ${words}`)
  return page('Limits and timers', [
    `Constants of ${code(SOURCE)}. Every process of a cluster has the same; none is an option.`,
    '## Limits',
    table(['Limit', 'Value', 'Meaning'], rows('LIMITS', LIMITS)),
    '## Timers',
    `Clocks may differ by ${CLOCK_DRIFT * 100} %. Control waits ${Math.round(leaseExpiryMs())} ms from the receipt of a renewal before a lease has run out.`,
    table(['Timer', 'Value', 'Meaning'], rows('TIMERS', TIMERS)),
    '## What holds between them',
    'Checked when the file is loaded:',
    conditions.join('\n'),
  ])
}

function shown(key: string, value: number | undefined): string {
  if (value === undefined) throw new Error(`${key} has no value`)
  if (/bytes$/i.test(key)) return formatBytes(value)
  return `${value.toLocaleString('en-US')}${key.endsWith('Ms') ? ' ms' : ''}`
}
