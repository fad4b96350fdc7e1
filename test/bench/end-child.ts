import type { ChildProcess } from 'node:child_process'

const END_MS = 30_000

/** Requests the end of a forked process; resolves when it has ended, by force if it has to be. */
export async function endChild(child: ChildProcess, request: string | object): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  if (child.connected) child.send(request)
  const late = setTimeout(() => child.kill('SIGKILL'), END_MS)
  await ended
  clearTimeout(late)
}
