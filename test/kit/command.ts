/** What was typed makes no sense: the message says what. */
export class UsageError extends Error {}

/** Runs a command of the repository; after a usage error it says what is wrong and how it is used, and exits with 2. */
export async function runCommand(main: () => Promise<number> | number, help: string): Promise<void> {
  try {
    process.exitCode = await main()
  } catch (error) {
    const usage = error instanceof UsageError || String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS')
    if (!usage) throw error
    process.stderr.write(`${(error as Error).message}\n\n${help}`)
    process.exitCode = 2
  }
}
