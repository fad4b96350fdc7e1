import { createWsTransport } from '../../src/transport/index.ts'
import { transportSuite } from '../conformance/transport-suite.ts'
import { LogLines } from './log-lines.ts'

transportSuite({
  name: 'ws',
  open: (request, events) =>
    createWsTransport(
      {
        listen: { host: '127.0.0.1', port: Number(request.address?.split(':')[1] ?? 0) },
        identity: request.identity,
        logger: new LogLines(),
      },
      events,
    ),
})
