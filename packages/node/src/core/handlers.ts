import type { Message } from '@ashlar/proto'
import type { Context, Link } from './machine.ts'

type MessageType = Message['type']
export type MessageOf<T extends MessageType> = Extract<Message, { readonly type: T }>

/** What a role does with each message that is for it. */
export type Handlers<Role, T extends MessageType> = {
  readonly [K in T]: (role: Role, ctx: Context, link: Link, message: MessageOf<K>) => void
}

/** True when the table has an entry for this message. */
export function isFor<T extends MessageType>(
  handlers: { readonly [K in T]: unknown },
  message: Message,
): message is MessageOf<T> {
  return Object.hasOwn(handlers, message.type)
}

export function handle<Role, T extends MessageType>(
  handlers: Handlers<Role, T>,
  role: Role,
  ctx: Context,
  link: Link,
  message: MessageOf<T>,
): void {
  // The entry under the type of a message takes that message: the compiler does not follow this through a union.
  const handler = handlers[message.type as T] as (role: Role, ctx: Context, link: Link, message: MessageOf<T>) => void
  handler(role, ctx, link, message)
}
