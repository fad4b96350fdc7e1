import { registerHooks } from 'node:module'

/**
 * Preloaded (`--import`) into a process that searches: private fields of the shipped machines become readable, so that two
 * states can be told apart by everything that they hold. Nothing else about the sources changes.
 */
registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (!/\/packages\/(?:node|proto)\/src\//.test(url) || !loaded.source) return loaded
    const source =
      typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString()
    return { ...loaded, source: source.replace(/#([A-Za-z_]\w*)/g, 'revealed_$1') }
  },
})
