/** A command in a printed action: all of it, or its end after a colon. */
const COMMAND = /(?:^|: )((?:ashlar|df|kill|ps|ls|mv|systemctl) .*)$/

/** The commands of a `todo` list, as an operator pastes them. */
export function commandsOf(todo: readonly string[]): string[] {
  return todo.flatMap((line) => COMMAND.exec(line)?.[1] ?? [])
}

/** Arguments of a command that begins with `ashlar`, as a shell splits them. */
export function argumentsOf(command: string): string[] {
  const words = command.match(/'[^']*'|\S+/g) ?? []
  return words.slice(1).map((word) => word.replace(/^'(.*)'$/, '$1'))
}
