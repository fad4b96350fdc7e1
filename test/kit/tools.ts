import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

/** Programs that no package of .ci/packages brings: their absence is never a failure. */
const NOT_IN_DEBIAN = new Set(['kubectl'])

/**
 * Value of a test's `skip`: false when every program is on the PATH, else the reason. With ASHLAR_REQUIRE_TOOLS=1, as in
 * CI, what .ci/packages installs counts as there: the test runs and fails by the missing program.
 */
export function skipWithout(...programs: readonly string[]): string | false {
  const required = process.env['ASHLAR_REQUIRE_TOOLS'] === '1'
  const missing = programs.filter((program) => !(required && !NOT_IN_DEBIAN.has(program)) && !isOnPath(program))
  return missing.length === 0 ? false : `not installed: ${missing.join(', ')}`
}

/**
 * Skips the running test, with the reason, when a program is missing; gives false then, and the test returns. With
 * ASHLAR_REQUIRE_TOOLS=1 it throws instead, so that the test fails.
 */
export function requireTool(context: TestContext, ...programs: readonly string[]): boolean {
  const missing = programs.filter((program) => !isOnPath(program))
  if (missing.length === 0) return true
  const reason = `${missing.join(', ')} not installed: see .ci/packages`
  if (process.env['ASHLAR_REQUIRE_TOOLS'] === '1') throw new Error(reason)
  context.skip(reason)
  return false
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
