import { layOutTable, whole } from '../report.ts'
import type { PieceResult } from './piece.ts'

export function pieceTable(results: readonly PieceResult[]): string {
  const rows = results.map(({ name, together, operationsPerSecond, cpuUs, ofNext }) => [
    ...[name, `${together}`, whole(operationsPerSecond)],
    ...[whole(operationsPerSecond * together), cpuUs.toFixed(1), ofNext?.toFixed(2) ?? ''],
  ])
  return layOutTable(['PIECE', 'AT ONCE', 'EACH/s', 'ALL/s', 'CPU us', 'OF NEXT'], rows)
}
