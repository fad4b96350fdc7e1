import { type ClusterId, type StoreId, uuidOfHex } from '@ashlar/proto'

/**
 * A new cluster's id: a version 4 UUID from the store's id and this process's random numbers. The store's id makes it
 * unique also for processes with the same seed.
 */
export function newClusterId(store: StoreId, random: () => number): ClusterId {
  const nibbles = [...store.replaceAll('-', '')].map((digit) =>
    (Number.parseInt(digit, 16) ^ Math.floor(random() * 16)).toString(16),
  )
  nibbles[12] = '4'
  nibbles[16] = '89ab'[Number.parseInt(nibbles[16] ?? '0', 16) % 4] ?? '8'
  return uuidOfHex(nibbles.join('')) as ClusterId
}
