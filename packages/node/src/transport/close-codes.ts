/** WebSocket close codes (RFC 6455 section 7.4.1). */
export const CLOSE_NORMAL = 1000
export const CLOSE_PROTOCOL_ERROR = 1002
export const CLOSE_UNSUPPORTED = 1003
export const CLOSE_POLICY = 1008
/** Reason of a node that stops, for its peers. */
export const STOPPING = 'this node is stopping'
/** A close frame carries at most 123 bytes of reason. */
export const CLOSE_REASON_LENGTH = 120
