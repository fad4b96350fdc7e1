import { BLOCK_DATA, type Epoch, extentId, InvariantError, type Seq, type VolumeId } from '@ashlar/proto'
import { openStore } from '../../../packages/node/src/storage/index.ts'
import { BlockSource, below } from './content.ts'
import { BLOCK_BYTES, type Piece, type PieceSettings } from './piece.ts'

const EXTENT = extentId(1 as VolumeId, 0)
const EPOCH = 1 as Epoch

/** Ashlar's store by itself: `atOnce` commits of one random block each at once, which group commit makes one batch. */
export async function ashlarStore({ directory, sizeBytes = 0, atOnce = 16 }: PieceSettings): Promise<Piece> {
  if (directory === undefined) throw new InvariantError('a store needs a directory')
  let left = 0
  let allDone: () => void = () => undefined
  const store = await openStore({ directory }, (completion) => {
    if (completion.type !== 'committed') throw new InvariantError(`the store said ${JSON.stringify(completion)}`)
    if (--left === 0) allDone()
  })
  store.execute({
    type: 'create-replica',
    extent: EXTENT,
    blockSizeBytes: BLOCK_BYTES,
    lengthBytes: sizeBytes,
    volumeName: 'bench',
  })
  const source = new BlockSource()
  const blocks = sizeBytes / BLOCK_BYTES
  let seq = 0
  const write = (blockAt: (index: number) => number) =>
    new Promise<void>((resolve) => {
      left = atOnce
      allDone = resolve
      for (let index = 0; index < atOnce; index++) {
        const { bytes, checksum } = source.next()
        const lastSeq = ++seq as Seq
        const version = { epoch: EPOCH, seq: lastSeq, kind: BLOCK_DATA, checksum } as const
        store.execute({
          type: 'commit',
          token: seq,
          change: {
            extent: EXTENT,
            blocks: [{ block: blockAt(index), version, bytes }],
            head: { lastEpoch: EPOCH, lastSeq, commitSeq: (lastSeq - 1) as Seq },
          },
        })
      }
    })
  for (let first = 0; first < blocks; first += atOnce) await write((index) => first + index)
  for (let written = 0; written < blocks; written += atOnce) await write(() => below(blocks))
  return {
    async run(untilMs) {
      let operations = 0
      for (; performance.now() < untilMs; operations += atOnce) await write(() => below(blocks))
      return operations
    },
    close: () => store.close(),
  }
}
