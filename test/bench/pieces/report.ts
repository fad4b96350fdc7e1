import { layOutTable, whole } from '../report.ts'
import type { PieceResult } from './index.ts'

export function pieceTable(results: readonly PieceResult[]): string {
  const rows = results.map(({ name, together, operationsPerSecond, cpuUs }) => [
    ...[name, `${together}`, whole(operationsPerSecond)],
    ...[whole(operationsPerSecond * together), cpuUs.toFixed(1)],
  ])
  return layOutTable(['PIECE', 'AT ONCE', 'EACH/s', 'ALL/s', 'CPU us'], rows)
}
