import { AshlarError } from '@ashlar/proto'

/** A flag's value, or USAGE with the name of the flag. */
export function parsed<T>(flag: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof AshlarError)) throw error
    throw new AshlarError('USAGE', `${flag}: ${error.message}`, { hint: error.hint ?? '' })
  }
}
