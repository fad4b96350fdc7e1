import { Ordinals } from '../../../kit/ordinals.ts'
import { bare } from './match.ts'
import { type Local, namesOf } from './names.ts'
import { isName, isTree, membersOf, parseSource } from './tree.ts'

/** A program without formatting, types and comments, its locals numbered: equal for two that do the same in the same way. */
export function canonical(text: string): string {
  const program = parseSource(text)
  const { uses } = namesOf(program)
  const numbers = new Ordinals<Local>()
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.filter((one) => !isTree(one) || one.type !== 'EmptyStatement').map(plain)
    if (!isTree(value)) return typeof value === 'bigint' ? String(value) : value
    const local = uses.get(value)
    if (isName(value) && local !== undefined) return numbers.of(local)
    const tree = bare(value)
    return [tree.type, ...membersOf(tree).map((key) => [key, plain(tree[key])])]
  }
  return JSON.stringify(plain(program))
}
