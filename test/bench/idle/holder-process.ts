/** A process that attaches volumes and leaves them alone: `holder-process.ts PLAN`, ended by its parent over IPC. */
import { connect } from '@ashlar/client'
import type { HolderPlan, HolderRequest } from './holder.ts'

const [, , plan = '{}'] = process.argv
const { servers, volumes, sizeBytes, replicas } = JSON.parse(plan) as HolderPlan

// A parent that was killed takes its holder with it.
process.once('disconnect', () => process.exit(0))
const client = await connect({ servers })
for (const name of volumes) {
  await client.admin.create({ name, sizeBytes, replicas })
  await client.openVolume(name)
}
process.once('message', () => void client.close().then(() => process.disconnect()))
const attached: HolderRequest = 'attached'
process.send?.(attached)
