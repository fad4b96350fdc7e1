/** One stage of `npm test`. */
export interface Stage {
  readonly title: string
  readonly files: readonly string[]
  readonly together: number
}
export const STAGES: Readonly<Record<string, Stage>>
export function testStages(node: string, names: readonly string[]): Promise<number>
