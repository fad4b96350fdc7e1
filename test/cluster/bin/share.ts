/** Shares a volume in the given number of sessions, writes a block in each, reports that, and waits to be killed. */
import { connect } from '@ashlar/client'

const [servers = '', name = '', sessions = '1'] = process.argv.slice(2)
const client = await connect({ servers: servers.split(',') })
const bytes = new Uint8Array(4096).fill(process.pid % 250)
for (let session = 0; session < Number(sessions); session++) {
  const volume = await client.openVolume(name, { mode: 'shared' })
  await volume.write(4096 * (session % 64), bytes)
}
process.stdout.write('shared\n')
setInterval(() => {}, 60_000)
