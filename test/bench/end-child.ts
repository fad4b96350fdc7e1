import type { ChildProcess } from 'node:child_process'

const END_MS = 30_000

/** Tells a forked process to end; resolves when it is gone, by force if it has to be. */
export async function endChild(child: ChildProcess, word: string | object): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  if (child.connected) child.send(word)
  const late = setTimeout(() => child.kill('SIGKILL'), END_MS)
  await gone
  clearTimeout(late)
}
