import type { Context, Input, Token } from '../machine.ts'

/** What the store reports of a request of replication. */
export type Completion = Extract<
  Input,
  { readonly token: Token; readonly type: 'committed' | 'loaded' | 'merged' | 'digests' | 'versions' | 'allocation' }
>

/** Calls `then` with the completion of this token, once. */
export type When = (token: Token, then: (ctx: Context, completion: Completion) => void) => void
