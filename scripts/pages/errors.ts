import { ERRORS, type ErrorCode, NODE_ENDS, type NodeEndKind } from '@ashlar/proto'
import { fileAt, type Tree } from '../tidy/tree.ts'
import { code, page, table } from './page.ts'
import { commentedRows } from './source-table.ts'

const SOURCE = 'packages/proto/src/errors.ts'
const ENDS_SOURCE = 'packages/proto/src/node-ends.ts'

export function errorsPage(tree: Tree): string {
  const rows = commentedRows(fileAt(tree, SOURCE)?.text ?? '', 'ERRORS', true)
  const ends = commentedRows(fileAt(tree, ENDS_SOURCE)?.text ?? '', 'NODE_ENDS', true)
  return page('Error codes', [
    `The table of ${code(SOURCE)}: one code in the library, on the wire, over HTTP, at NBD clients and as an exit code.`,
    'Retry _same_: send it again as it is; _refresh_: learn the map first; _never_: it does not get better by itself.',
    table(
      ['Code', 'Number', 'Retry', 'NBD errno', 'HTTP', 'Exit code', 'Meaning'],
      rows.map(({ keys: [key = ''], comment }) => {
        const { number, retry, nbd, http, exit } = ERRORS[key as ErrorCode]
        return [code(key), String(number), retry, String(nbd), String(http), String(exit), comment]
      }),
    ),
    '## Exit codes of a node that ends by its own decision',
    `\`ashlar server run\` exits with 0 after a stop that was requested, with 2 for wrong options, and otherwise with a code of this table (${code(ENDS_SOURCE)}). ` +
      'A node that is connected reports the reason first: `ashlar explain node NAME` quotes it, with the time and what helps.',
    table(
      ['End', 'Exit code', 'Meaning'],
      ends.map(({ keys: [key = ''], comment }) => [code(key), String(NODE_ENDS[key as NodeEndKind].exit), comment]),
    ),
  ])
}
