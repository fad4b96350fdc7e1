/** One commit, as git tells it. */
export interface Commit {
  readonly hash: string
  readonly subject: string
  /** Everything below the subject. */
  readonly body: string
}

const LONGEST_SUBJECT = 72
/** Rooms that have no folder of their name. */
const MORE_ROOMS = ['ci', 'project', 'protocol']
/** Folders whose folders are rooms too. */
const HOUSES = [/^$/, /^packages$/, /^packages\/[^/]+\/src$/, /^packages\/node\/src\/core$/, /^test$/, /^scripts$/]
const TRAILER = /^(Seed|Finding|Decision): (.*)$/
const NUMBERS = /^\d+(, \d+)*$/
/** Words that end as another form of a verb does, and are the imperative. */
const IMPERATIVES =
  /^(bring|ping|string|ring|swing|need|feed|embed|shed|speed|exceed|proceed|succeed|seed|bias|focus|canvas)$/
const OTHER_FORM = /(ing|ed|[^s]s)$/

/** Names of rooms, from the paths of all files of the repository. */
export function roomsOf(paths: readonly string[]): ReadonlySet<string> {
  const rooms = new Set(MORE_ROOMS)
  for (const path of paths) {
    const folders = path.split('/').slice(0, -1)
    folders.forEach((folder, at) => {
      if (HOUSES.some((house) => house.test(folders.slice(0, at).join('/')))) rooms.add(folder)
    })
  }
  return rooms
}

/** What a commit's message breaks of CONTRIBUTING.md, one sentence each. */
export function problemsOf(commit: Commit, rooms: ReadonlySet<string>): string[] {
  return [...subjectProblems(commit.subject, rooms), ...bodyProblems(commit.body)]
}

function subjectProblems(subject: string, rooms: ReadonlySet<string>): string[] {
  const problems: string[] = []
  if (subject.length > LONGEST_SUBJECT)
    problems.push(`the subject has ${subject.length} characters, at most ${LONGEST_SUBJECT}`)
  const [, room, verb] = /^(\S+): (\S+)/.exec(subject) ?? []
  if (room === undefined || verb === undefined) return [...problems, 'the subject is not "room: what the commit does"']
  if (!rooms.has(room)) problems.push(`there is no room ${room}: a room is a folder of the sources`)
  if (OTHER_FORM.test(verb) && !IMPERATIVES.test(verb))
    problems.push(`the subject begins with ${verb}, where the imperative belongs: "room: share the leaves"`)
  if (subject.endsWith('.')) problems.push('the subject ends with a full stop')
  return problems
}

function bodyProblems(body: string): string[] {
  const lines = body.trim().split('\n')
  const trailers = lines.flatMap((line) => TRAILER.exec(line) ?? [])
  const text = lines.filter((line) => !TRAILER.test(line)).join('\n')
  const problems = text.trim() === '' ? ['there is no body: say why'] : []
  for (const line of lines) {
    const [, name, value = ''] = TRAILER.exec(line) ?? []
    if (name === undefined) continue
    if (name === 'Finding' ? value.trim() === '' : !NUMBERS.test(value))
      problems.push(`${name}: takes ${name === 'Finding' ? 'a text' : 'numbers'}, not "${value}"`)
  }
  for (const [name, mention] of [
    ['Seed', /\bseeds? \d+/i],
    ['Decision', /\bdecisions? \d+/i],
  ] as const)
    if (mention.test(text) && !trailers.includes(name))
      problems.push(`the body names a ${name.toLowerCase()}: repeat it as a trailer, "${name}: N"`)
  return problems
}
