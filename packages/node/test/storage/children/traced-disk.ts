/**
 * Rebuilds from a system call trace what a disk holds when the power goes. The trace is strace's, with `-f -y -xx`: every
 * string, paths included, as \x escapes; a call that another thread interrupts as two lines. The model of the file system:
 *
 * - Content reaches the disk by fsync or fdatasync of its file, and then what was written before that call began.
 * - The name of a new file reaches the disk with the first sync of the file (ext4 and XFS do that; POSIX does not promise
 *   it) or with a sync of its directory.
 * - A rename counts at once: LevelDB renames only when it opens, and the driver syncs the directory afterwards.
 * - A deletion may have reached the disk or not.
 */
import { basename, dirname } from 'node:path'

interface TracedFile {
  content: Buffer
  syncedBytes: number
  nameSynced: boolean
}

export interface Cut {
  /** Last acknowledgement that was printed. */
  readonly acked: number
  /** A log of the engine began since the cut before. */
  readonly rotated: boolean
  /** Content by path. `torn`: half of what was not synced is there too, and deletions did not reach the disk. */
  files(kind: 'synced' | 'torn'): Map<string, Buffer>
}

interface Call {
  readonly name: string
  readonly args: string
  readonly result: number
}

const LINE = /^(\d+)\s+(.*)$/
const CALL = /^(\w+)\((.*)\)\s+= (-?\d+)/s
const UNFINISHED = / <unfinished \.\.\.>$/
const RESUMED = /^<\.\.\. (\w+) resumed>(.*)$/s
const STRING = /"((?:\\x[0-9a-f]{2})*)"/g
const FD = /^(\d+)<((?:\\x[0-9a-f]{2})*)>/

export class TracedDisk {
  readonly #root: string
  readonly #files = new Map<string, TracedFile>()
  readonly #deleted = new Map<string, TracedFile>()
  /** Size of a file when a sync of it that has not returned began, by thread. */
  readonly #syncing = new Map<string, { path: string; bytes: number }>()
  readonly #unfinished = new Map<string, string>()
  #rotated = false

  /** `files`: what is on disk, synced, before the trace begins; only paths under `root` count. */
  constructor(root: string, files: ReadonlyMap<string, Buffer>) {
    this.#root = root
    for (const [path, content] of files) {
      this.#files.set(path, { content, syncedBytes: content.length, nameSynced: true })
    }
  }

  /** Plays the trace and calls `onAck` at each acknowledgement, with the disk as it is at that moment. */
  play(trace: string, onAck: (cut: Cut) => void): void {
    for (const text of trace.split('\n')) {
      const line = LINE.exec(text)
      if (line === null) continue
      const [, thread = '', rest = ''] = line
      const call = this.#call(thread, rest)
      if (call === undefined) continue
      const acked = call.name === 'write' ? ackedIn(call.args) : undefined
      if (acked !== undefined) {
        const rotated = this.#rotated
        this.#rotated = false
        onAck({ acked, rotated, files: (kind) => this.#cut(kind) })
      } else if (call.result >= 0) this.#executeEffects(thread, call)
    }
  }

  /** The whole call once it has returned; notes what a sync covers when it begins. */
  #call(thread: string, text: string): Call | undefined {
    let whole = text
    const resumed = RESUMED.exec(text)
    if (resumed !== null) {
      whole = (this.#unfinished.get(thread) ?? '') + resumed[2]
      this.#unfinished.delete(thread)
    } else {
      const begun = whole.replace(UNFINISHED, '')
      const sync = /^f(?:data)?sync\((.*)$/s.exec(begun)
      if (sync !== null) {
        const path = pathOfFd(sync[1] ?? '')
        this.#syncing.set(thread, { path, bytes: this.#files.get(path)?.content.length ?? 0 })
      }
      if (begun !== whole) {
        this.#unfinished.set(thread, begun)
        // An acknowledgement counts from the moment at which it is printed, returned or not.
        if (ackedIn(begun) === undefined) return undefined
        this.#unfinished.set(thread, '')
        return { name: 'write', args: begun.slice(begun.indexOf('(') + 1), result: 0 }
      }
    }
    const call = CALL.exec(whole)
    return call === null ? undefined : { name: call[1] ?? '', args: call[2] ?? '', result: Number(call[3]) }
  }

  #executeEffects(thread: string, { name, args, result }: Call): void {
    switch (name) {
      case 'openat':
        return this.#open(stringsIn(args)[0]?.toString() ?? '', args)
      case 'write':
        return this.#write(pathOfFd(args), stringsIn(args).at(-1) ?? Buffer.alloc(0), result)
      case 'fsync':
      case 'fdatasync':
        return this.#sync(thread)
      case 'rename':
        return this.#rename(stringsIn(args).map(String))
      case 'unlink':
        return this.#unlink(stringsIn(args)[0]?.toString() ?? '')
      default:
        // Anything else that changes a file here would make this model wrong.
        if (pathOfFd(args).startsWith(this.#root)) throw new Error(`the model of the disk does not know ${name}`)
    }
  }

  #open(path: string, args: string): void {
    if (!path.startsWith(this.#root) || !args.includes('O_CREAT')) return
    const known = this.#files.get(path)
    if (known !== undefined && !args.includes('O_TRUNC')) return
    this.#files.set(path, { content: Buffer.alloc(0), syncedBytes: 0, nameSynced: known?.nameSynced ?? false })
    if (path.endsWith('.log')) this.#rotated = true
  }

  #write(path: string, bytes: Buffer, written: number): void {
    const file = this.#files.get(path)
    if (file !== undefined) file.content = Buffer.concat([file.content, bytes.subarray(0, written)])
  }

  #sync(thread: string): void {
    const sync = this.#syncing.get(thread)
    if (sync === undefined) return
    const file = this.#files.get(sync.path)
    if (file !== undefined) {
      file.syncedBytes = Math.max(file.syncedBytes, sync.bytes)
      file.nameSynced = true
      return
    }
    for (const [path, entry] of this.#files) if (dirname(path) === sync.path) entry.nameSynced = true
  }

  #rename([from = '', to = '']: string[]): void {
    const file = this.#files.get(from)
    if (file === undefined) return
    this.#files.delete(from)
    this.#files.set(to, { ...file, nameSynced: true })
  }

  #unlink(path: string): void {
    const file = this.#files.get(path)
    if (file === undefined) return
    this.#files.delete(path)
    this.#deleted.set(path, file)
  }

  #cut(kind: 'synced' | 'torn'): Map<string, Buffer> {
    const files = new Map<string, Buffer>()
    const all = kind === 'torn' ? [...this.#deleted, ...this.#files] : [...this.#files]
    for (const [path, { content, syncedBytes, nameSynced }] of all) {
      const extra = kind === 'torn' ? Math.floor((content.length - syncedBytes) / 2) : 0
      if ((nameSynced || extra > 0) && basename(path) !== 'LOCK')
        files.set(path, content.subarray(0, syncedBytes + extra))
    }
    return files
  }
}

function stringsIn(args: string): Buffer[] {
  return [...args.matchAll(STRING)].map((match) => unescaped(match[1] ?? ''))
}

function pathOfFd(args: string): string {
  return unescaped(FD.exec(args)?.[2] ?? '').toString()
}

function unescaped(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

function ackedIn(args: string): number | undefined {
  if (!/^(?:write\()?1</.test(args)) return undefined
  const said = /^acked (\d+)/.exec(stringsIn(args).at(-1)?.toString() ?? '')
  return said === null ? undefined : Number(said[1])
}
