/**
 * What a document tells a person to do. Its fenced blocks carry marks behind the language, which no reader sees:
 *
 * - `sh`: commands, run one block after the other
 * - `sh daemon`: one command that stays in the foreground
 * - `sh needs PROGRAM…`: commands that call programs from outside
 * - `js file=NAME`: a file to save under this name
 * - `js run=NAME`: a program to save under this name and to run
 * - `text prints`: what the program before it prints
 */
export type Step =
  | { readonly kind: 'daemon'; readonly text: string }
  | { readonly kind: 'commands'; readonly text: string; readonly needs: readonly string[] }
  | { readonly kind: 'file' | 'program'; readonly text: string; readonly name: string }
  | { readonly kind: 'output'; readonly text: string }

/** Every step of a document, in order. A mark that is not known is an error: a block must not go untested by a typo. */
export function stepsOf(markdown: string): Step[] {
  return [...markdown.matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```$/gm)].map(([, language, rest = '', text = '']) => {
    const [mark, ...words] = rest.trim().split(/\s+/)
    if (language === 'sh' && mark === '') return { kind: 'commands', text, needs: [] }
    if (language === 'sh' && mark === 'daemon') return { kind: 'daemon', text }
    if (language === 'sh' && mark === 'needs' && words.length > 0) return { kind: 'commands', text, needs: words }
    if (language === 'text' && mark === 'prints') return { kind: 'output', text }
    const [, verb, name] = /^(file|run)=([\w.-]+)$/.exec(mark ?? '') ?? []
    if (language === 'js' && name !== undefined) return { kind: verb === 'run' ? 'program' : 'file', text, name }
    throw new Error(`no test knows how to check the block "${language}${rest}"`)
  })
}

/** The steps with the addresses that a test uses in place of the defaults, which someone else may be using. */
export function withAddresses(step: Step, api: { readonly apiPort: number; readonly nbd: string }): Step {
  const text = step.text
    .replaceAll('127.0.0.1:10809', api.nbd)
    .replaceAll('127.0.0.1:7580', `127.0.0.1:${api.apiPort + 100}`)
  if (step.kind !== 'daemon') return { ...step, text }
  return { ...step, text: `${text.trim()} -- --api-port ${api.apiPort} --nbd ${api.nbd}\n` }
}
