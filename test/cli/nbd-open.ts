import { connect, type Socket } from 'node:net'

const OPTION_MAGIC = Buffer.from('IHAVEOPT')
const OPTION_GO = 7
const REPLY_ACK = 1

/** Opens an export over NBD as the smallest of clients, and keeps it open: resolves once the server has agreed to serve it. */
export async function openExport(host: string, port: number, name: string): Promise<Socket> {
  const socket = connect(port, host)
  const bytes = socket[Symbol.asyncIterator]()
  let buffer = Buffer.alloc(0)
  const take = async (length: number): Promise<Buffer> => {
    while (buffer.length < length) {
      const next = await bytes.next()
      if (next.done === true) throw new Error('the NBD server closed the connection')
      buffer = Buffer.concat([buffer, next.value as Buffer])
    }
    const taken = buffer.subarray(0, length)
    buffer = buffer.subarray(length)
    return taken
  }
  // Greeting: NBDMAGIC, IHAVEOPT, flags; the answer says fixed newstyle without zeroes.
  await take(18)
  socket.write(Buffer.from([0, 0, 0, 3]))
  const data = Buffer.alloc(4 + name.length + 2)
  data.writeUInt32BE(name.length)
  data.write(name, 4, 'ascii')
  const header = Buffer.alloc(16)
  OPTION_MAGIC.copy(header)
  header.writeUInt32BE(OPTION_GO, 8)
  header.writeUInt32BE(data.length, 12)
  socket.write(Buffer.concat([header, data]))
  for (;;) {
    const reply = await take(20)
    const type = reply.readUInt32BE(12)
    await take(reply.readUInt32BE(16))
    if (type === REPLY_ACK) return socket
    if (type >= 2 ** 31) throw new Error(`the NBD server refused ${name} with reply ${type}`)
  }
}
