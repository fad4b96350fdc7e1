/** Versions of what leaves the process. A peer with no common wire version is refused in the handshake. */
export const WIRE_VERSION = 3
/** Oldest wire version that this build still speaks. */
export const WIRE_VERSION_MIN = 2
/** Version of the data directory, written in `h/store` and in the sidecar file. */
export const FORMAT_VERSION = 1
