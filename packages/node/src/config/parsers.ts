import { AshlarError, formatAddress, isName, NAME_RULE, parseAddress } from '@ashlar/proto'
import { formatBytes, formatDuration, formatReserve, parseBytes, parseDuration, parseReserve } from './quantities.ts'

/** How many voters a cluster may be bootstrapped with. */
const VOTER_COUNTS = [1, 3, 5]

/** Pairs of `parse` and `print` for the units that options are written in. */
export const asText = { unit: 'text', parse: nonEmpty, print: String }
export const asAddress = {
  unit: 'address',
  parse: (text: string) => formatAddress(parseAddress(text)),
  print: (address: string) => address,
}
export const asAddresses = {
  unit: 'addresses',
  list: true,
  parse: (text: string): readonly string[] => parseList(text).map(asAddress.parse),
  print: (addresses: readonly string[]) => addresses.join(','),
}
export const asNames = {
  unit: 'names',
  list: true,
  parse: (text: string): readonly string[] => parseList(text).map(parseName),
  print: (names: readonly string[]) => names.join(','),
}
export const asName = { unit: 'name', parse: parseName, print: String }
export const asBytes = { unit: 'bytes', parse: parseBytes, print: formatBytes }
export const asReserve = { unit: 'bytes, share of the disk, or both', parse: parseReserve, print: formatReserve }
export const asDuration = { unit: 'duration', parse: parseDuration, print: formatDuration }
export const asSwitch = { unit: 'true or false', parse: parseSwitch, print: String }
export const asCount = { unit: 'count', parse: parseCount, print: String }
export const asLabels = {
  unit: 'labels',
  list: true,
  parse: parseLabels,
  print: (labels: Readonly<Record<string, string>>) =>
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
}

/** An even number of voters tolerates no more losses than the odd number below it. */
export const asVoters = {
  unit: VOTER_COUNTS.join(', '),
  parse(text: string): number {
    const count = VOTER_COUNTS.find((candidate) => String(candidate) === text)
    if (count === undefined) throw new AshlarError('USAGE', `"${text}" is none of ${VOTER_COUNTS.join(', ')}`)
    return count
  },
  print: String,
}

/** A unit for one of a few values. */
export function asOneOf<Choice extends string>(choices: readonly Choice[]) {
  return {
    unit: choices.join(', '),
    parse(text: string): Choice {
      const choice = choices.find((candidate) => candidate === text)
      if (choice === undefined) throw new AshlarError('USAGE', `"${text}" is none of ${choices.join(', ')}`)
      return choice
    },
    print: (choice: Choice): string => choice,
  }
}

/** Trimmed parts of a list; empty parts are dropped. */
export function parseList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

export function parseName(text: string): string {
  if (isName(text)) return text
  throw new AshlarError('USAGE', `"${text}" is not a name`, { hint: NAME_RULE })
}

function nonEmpty(text: string): string {
  if (text !== '') return text
  throw new AshlarError('USAGE', 'a value is missing')
}

function parseSwitch(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new AshlarError('USAGE', `"${text}" is neither true nor false`)
}

function parseCount(text: string): number {
  const count = Number(text)
  if (/^\d{1,9}$/.test(text)) return count
  throw new AshlarError('USAGE', `"${text}" is not a whole number`)
}

const LABEL = /^([a-z0-9A-Z][a-z0-9A-Z._/-]{0,62})=([^,=\s]{1,63})$/

function parseLabels(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    parseList(text).map((part) => {
      const [, key, value] = LABEL.exec(part) ?? []
      if (key === undefined || value === undefined) {
        throw new AshlarError('USAGE', `"${part}" is not a label`, { hint: 'write KEY=VALUE, such as zone=a' })
      }
      return [key, value]
    }),
  )
}
