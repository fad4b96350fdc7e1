/**
 * One option of a process. Flags, environment variables, keys of the configuration file, the generated
 * documentation and `--print-config` all come from tables of these, so they cannot disagree.
 */
export interface OptionSpec<Value> {
  /** The one name: `--data-dir`, `ASHLAR_DATA_DIR`, `data-dir:` in the file. */
  readonly name: string
  /** What stands for the value in help: `DIR`, `HOST:PORT`. Undefined for a switch, which takes none. */
  readonly placeholder?: string
  readonly meaning: string
  /** How the value is written: bytes, duration, address, … */
  readonly unit: string
  /** Undefined: there is none, and the process does not start without a value unless `optional`. */
  readonly default?: Value
  /** The default in help texts, when it depends on other options or on the machine. */
  readonly defaultText?: string
  readonly optional?: boolean
  /** Cost and benefit of a higher value (or on), and of a lower one (or off). */
  readonly cost: string
  /** True: the flag may be repeated, and the file may hold a list. */
  readonly list?: boolean
  /** Reads one value of a flag, a variable or the file; with `list`, all of them joined by commas. Throws USAGE. */
  parse(text: string): Value
  /** Writes a value so that `parse` reads it back. */
  print(value: Value): string
}

/** Options by the property under which code knows them. */
// biome-ignore lint/suspicious/noExplicitAny: a table holds options of different values; each keeps its own type.
export type OptionTable = Readonly<Record<string, OptionSpec<any>>>

/** Values of a table; an option without a default is undefined when it was not given. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Key in keyof Table]: Table[Key] extends { optional: true }
    ? ReturnType<Table[Key]['parse']> | undefined
    : ReturnType<Table[Key]['parse']>
}

/** The environment variable of an option. */
export function environmentName(spec: { readonly name: string }): string {
  return `ASHLAR_${spec.name.toUpperCase().replaceAll('-', '_')}`
}
