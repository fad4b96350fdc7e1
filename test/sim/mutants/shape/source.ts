import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Names, namesOf } from './names.ts'
import { parseSource, type Tree } from './tree.ts'

export interface Source {
  readonly file: string
  readonly text: string
  readonly program: Tree
  readonly names: Names
}

/** Sources by path from some root; each is read and parsed once, when it is first asked for. */
export class Sources {
  private readonly root: string
  private readonly rooms = new Map<string, readonly string[]>()
  private readonly texts = new Map<string, string>()
  private readonly parsed = new Map<string, Source>()

  constructor(root: string) {
    this.root = root
  }

  /** The sources of a room, or of one file, whose text has all these words. */
  having(room: string, words: readonly string[]): Source[] {
    return this.filesOf(room)
      .filter((file) => words.every((word) => this.textOf(file).includes(word)))
      .map((file) => this.source(file))
  }

  textOf(file: string): string {
    let text = this.texts.get(file)
    if (text === undefined) {
      text = readFileSync(join(this.root, file), 'utf8')
      this.texts.set(file, text)
    }
    return text
  }

  private filesOf(room: string): readonly string[] {
    let files = this.rooms.get(room)
    if (files === undefined) {
      const path = join(this.root, room)
      files = statSync(path).isFile()
        ? [room]
        : readdirSync(path, { recursive: true, encoding: 'utf8' })
            .filter((name) => name.endsWith('.ts'))
            .map((name) => `${room}/${name}`)
            .sort()
      this.rooms.set(room, files)
    }
    return files
  }

  private source(file: string): Source {
    let source = this.parsed.get(file)
    if (source === undefined) {
      source = sourceOf(file, this.textOf(file))
      this.parsed.set(file, source)
    }
    return source
  }
}

export function sourceOf(file: string, text: string): Source {
  const program = parseSource(text)
  return { file, text, program, names: namesOf(program) }
}
