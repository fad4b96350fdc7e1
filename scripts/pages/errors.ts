import { ERRORS, type ErrorCode } from '@ashlar/proto'
import { fileAt, type Tree } from '../tidy/tree.ts'
import { code, page, table } from './page.ts'
import { commentedRows } from './source-table.ts'

const SOURCE = 'packages/proto/src/errors.ts'

export function errorsPage(tree: Tree): string {
  const rows = commentedRows(fileAt(tree, SOURCE)?.text ?? '', 'ERRORS', true)
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
  ])
}
