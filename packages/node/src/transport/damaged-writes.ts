import type { Message, Write } from '@ashlar/proto'
import { verifyWrite } from '@ashlar/proto/codec'
import type { BlockSizeOf } from './options.ts'

/**
 * Separates the writes whose payload does not match their checksums. Only the block size of its extent says which bytes
 * of a write a checksum covers; a write of an extent that the map does not have is sound here, and refused by the node.
 */
export function separateDamagedWrites(
  messages: readonly Message[],
  blockSizeOf: BlockSizeOf,
): { readonly sound: readonly Message[]; readonly damaged: readonly Write[] } {
  const damaged = messages.filter((message): message is Write => {
    if (message.type !== 'write') return false
    const blockSizeBytes = blockSizeOf(message.extent)
    return blockSizeBytes !== undefined && !verifyWrite(message, blockSizeBytes)
  })
  if (damaged.length === 0) return { sound: messages, damaged }
  const refused: ReadonlySet<Message> = new Set(damaged)
  return { sound: messages.filter((message) => !refused.has(message)), damaged }
}
