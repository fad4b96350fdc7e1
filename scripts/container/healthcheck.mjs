/**
 * Health of the process in this container, for Docker: exits 0 when it answers. It asks only whether the process lives,
 * never how the cluster is: a check that did would restart every node of a partition. ASHLAR_HEALTH_URL names another
 * address than that of a node's API.
 */
const url = process.env.ASHLAR_HEALTH_URL ?? 'http://127.0.0.1:7480/healthz'
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(4000) })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
} catch (error) {
  process.stderr.write(`${error.cause?.message ?? error.message}\n`)
  process.exitCode = 1
}
