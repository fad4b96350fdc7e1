/** First line of every generated page. */
const NOTICE = '<!-- Generated from the sources by `npm run gen-docs`. Do not edit. -->'

/** A page: its notice, its title, and its paragraphs and tables. */
export function page(title: string, parts: readonly string[]): string {
  return `${[NOTICE, `# ${title}`, ...parts].join('\n\n')}\n`
}

/** A table without padding: a changed cell changes one line. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |`).join('\n')
}

function cell(text: string): string {
  return text.replaceAll('\n', ' ').replaceAll('|', '\\|')
}

export function code(text: string): string {
  return `\`${text}\``
}
