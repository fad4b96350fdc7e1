import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

/** Programs that no package of .ci/packages brings: their absence is never a failure. */
const NOT_IN_DEBIAN = new Set(['kubectl'])

const REQUIRED = process.env['ASHLAR_REQUIRE_TOOLS'] === '1'

/**
 * Value of a test's `skip`: false when every program is on the PATH, else the reason. With ASHLAR_REQUIRE_TOOLS=1, as in
 * CI, what .ci/packages installs counts as there: the test runs and fails by the missing program.
 */
export function skipWithout(...programs: readonly string[]): string | false {
  const missing = missingOf(programs).filter((program) => !REQUIRED || NOT_IN_DEBIAN.has(program))
  return missing.length === 0 ? false : reasonFor(missing)
}

/**
 * Skips the running test, with the reason, when a program is missing; gives false then, and the test returns. With
 * ASHLAR_REQUIRE_TOOLS=1 it throws instead, so that the test fails.
 */
export function requireTool(context: TestContext, ...programs: readonly string[]): boolean {
  const missing = missingOf(programs)
  if (missing.length === 0) return true
  if (REQUIRED) throw new Error(reasonFor(missing))
  context.skip(reasonFor(missing))
  return false
}

function reasonFor(missing: readonly string[]): string {
  return `not installed: ${missing.join(', ')}`
}

function missingOf(programs: readonly string[]): string[] {
  return programs.filter((program) => !isOnPath(program))
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
