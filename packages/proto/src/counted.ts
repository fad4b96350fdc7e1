/** How often: `once`, `2 times`. */
export function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}

/** A count with its noun: `1 replica`, `2 replicas`. `many`: a plural that is not formed with -s. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
