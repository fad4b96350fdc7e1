import type { AdminCommand, Register, StoreId } from '@ashlar/proto'
import type { Command } from '../log/index.ts'

/** Bytes that the map keeps of a client's name. */
const CLIENT_BYTES = 255

/** Commands for the log itself, which change no map. */
export type LogRequest = Extract<AdminCommand, { do: 'change-members' | 'transfer-leadership' }>

export function isLogRequest(command: AdminCommand): command is LogRequest {
  return command.do === 'change-members' || command.do === 'transfer-leadership'
}

/** The command for a node's registration. */
export function registerCommand(message: Register, live: readonly StoreId[]): Extract<Command, { do: 'register' }> {
  const { store, name, address, api, incarnation, trust, level = 0 } = message
  return { do: 'register', store, name, address, api, incarnation, trust, live, ...(level === 0 ? {} : { level }) }
}

/** The command for a request of an operator or a client; `live`: stores that may get replicas or become primary. */
export function commandOf(
  command: Exclude<AdminCommand, LogRequest | { do: 'renew-attachment' }>,
  live: readonly StoreId[],
): Command {
  switch (command.do) {
    case 'create-volume':
    case 'force-primary':
    case 'lose-store':
      return { ...command, live }
    case 'attach': {
      const { name, session, mode, ifFree, client, renews } = command
      const holder = { session, mode, client: cutName(client) }
      return { do: 'attach', name, holder: renews === true ? { ...holder, renews } : holder, ifFree }
    }
    case 'detach':
      return { do: 'detach', volume: command.volume, session: command.session }
    case 'remove-volume':
    case 'acknowledge-loss':
      return command
  }
}

/** Cuts a name to CLIENT_BYTES of UTF-8, since every map has the names of all holders. */
function cutName(name: string): string {
  let [kept, bytes] = ['', 0]
  for (const character of name) {
    const point = character.codePointAt(0) as number
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
    if (bytes > CLIENT_BYTES) break
    kept += character
  }
  return kept
}
