import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { UsageError } from '../../kit/command.ts'
import { runShares, type SharedSeeds } from './run.ts'
import type { SeedResult } from './totals.ts'

/** By seed. In a file: a line `SEED HASH` for each, in the order of the seeds. */
export type Hashes = ReadonlyMap<number, string>

export interface HashRun extends SharedSeeds {
  /** The file to write the hashes to. */
  readonly write?: string | undefined
  /** A file of an earlier run, of the same family of seeds, to compare with. */
  readonly compare?: string | undefined
}

/**
 * Takes the hash of every seed of a range. Exit code 1 when one of them differs from the one of the earlier run, or when its run
 * found a violation.
 */
export async function runHashes(run: HashRun): Promise<number> {
  const earlier = run.compare === undefined ? undefined : readHashes(run.compare)
  const results: SeedResult[] = []
  const codes = await runShares(run, (result) => results.push(result))
  results.sort((a, b) => a.seed - b.seed)
  const hashes = new Map(results.map(({ seed, hash }) => [seed, hash]))
  const lines = results.filter(({ violations }) => violations.length > 0).map(({ seed }) => `seed ${seed} FAILED`)
  if (run.write !== undefined) writeFileSync(run.write, hashesText(hashes))
  if (earlier !== undefined) lines.push(...differences(earlier, hashes))
  const compared = earlier === undefined ? '' : `, compared with ${run.compare}`
  process.stdout.write([...lines, `hashes of ${hashes.size} seeds${compared}\n`].join('\n'))
  return lines.length > 0 || codes.some((code) => code !== 0) ? 1 : 0
}

export function hashesText(hashes: Hashes): string {
  return [...hashes].map(([seed, hash]) => `${seed} ${hash}\n`).join('')
}

/** Throws when the file is not one of these. */
export function readHashes(file: string): Hashes {
  if (!existsSync(file)) throw new UsageError(`${file}: no such file`)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  return new Map(
    lines.map((line) => {
      const [, seed, hash] = /^(\d+) ((?:[0-9a-f]{16})+)$/.exec(line) ?? []
      if (seed === undefined || hash === undefined) throw new UsageError(`${file}: not a line of hashes: ${line}`)
      return [Number(seed), hash]
    }),
  )
}

/** A line for every seed of the later run whose hash is not the earlier one. */
export function differences(earlier: Hashes, later: Hashes): string[] {
  return [...later]
    .filter(([seed, hash]) => earlier.get(seed) !== hash)
    .map(([seed, hash]) => `seed ${seed} was ${earlier.get(seed) ?? 'not run'}, is ${hash}`)
}
