/** Versions of what leaves the process. A peer with no common wire version is refused in the handshake. */
export const WIRE_VERSION = 3
/** Oldest wire version that this build still speaks. */
export const WIRE_VERSION_MIN = 2
/**
 * Feature level that this build knows (amendment 24). A cluster is at the highest level that every node told that it knows; what
 * nodes of a lower level would not understand is used only from then on. A level never falls.
 *
 *   0  builds that know no levels: wire version 2, data directories of format 1
 *   1  wire version 3, data directories of format 2, `raise-feature-level` and `raise-epochs` in control's log,
 *      a primary that is slow leaves the in-sync set by its release, one that shrinks its set names who is complete
 */
export const FEATURE_LEVEL = 1
/** Version of the data directory, written in `h/store` and in the sidecar file: 1 until the cluster is at feature level 1. */
export const FORMAT_VERSION = 2
