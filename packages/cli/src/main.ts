import { CommanderError } from 'commander'
import { describeFailure, report } from './failure.ts'
import { type Io, processIo } from './io.ts'
import { buildProgram } from './program.ts'

/** Exit code of a command line that cannot be understood. */
const USAGE = 2

/** Runs one command line (without program and script) and resolves to the exit code. Never rejects. */
export async function main(args: readonly string[], io: Io = processIo()): Promise<number> {
  let exitCode = 0
  const program = buildProgram(io, (code) => {
    exitCode = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return usageExit(io, error)
    return report(io, error)
  }
}

/** Requested help is no failure; anything else that commander refuses is printed as one line, like all failures. */
function usageExit(io: Io, error: CommanderError): number {
  if (error.exitCode === 0) return 0
  // Help in place of a missing verb has been printed: there is nothing to add.
  if (error.code !== 'commander.help') io.error(`ashlar: ${describeUsage(error)}\n`)
  return USAGE
}

function describeUsage(error: CommanderError): string {
  const text = describeFailure(new Error(error.message)).replace(/^error: /, '')
  return text.replace(/ \(Did you mean (.*)\?\)$/, ' (did you mean $1?)')
}
