/** A curve of a panel: one value for each case; undefined where there is none. */
export interface PlotLine {
  readonly name: string
  readonly values: readonly (number | undefined)[]
}

/** One diagram of a plot, over the cases that all of them share. */
export interface PlotPanel {
  /** What is drawn, with its unit. */
  readonly title: string
  /**
   * Logarithmic where lines of different height are compared by their growth: a factor is the same distance for each.
   */
  readonly scale: 'linear' | 'logarithmic'
  readonly lines: readonly PlotLine[]
}

export interface Plot {
  readonly title: string
  /** What grows, with its unit. */
  readonly across: string
  /** From left to right. */
  readonly cases: readonly string[]
  readonly panels: readonly PlotPanel[]
}

const PANEL = { width: 330, height: 220, left: 64, right: 16, top: 76, bottom: 52 }
const DOT = 3
/** From a point to the foot of its value: above it, or below. */
const VALUE = { above: -7, below: 15 }
/** One for each line, distinct on white and on black, also for readers who see less of red or green. */
const COLORS = ['#3b82c4', '#d9822b', '#2a9d74', '#b565a7']
/** Text follows the reader's scheme also where the picture is only referred to, as in a document. */
const STYLE = `text{font:11px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}.panel{font-size:12px;font-weight:600}
.grid{stroke:#888;stroke-opacity:.3}.curve{fill:none;stroke-width:2}.value{font-size:10px}
@media(prefers-color-scheme:dark){text{fill:#ddd}}`

/** An SVG of all panels side by side, with axes, units, a legend, and the value of each point. */
export function plotSvg({ title, across, cases, panels }: Plot): string {
  const width = panels.length * (PANEL.left + PANEL.width + PANEL.right)
  const height = PANEL.top + PANEL.height + PANEL.bottom
  const body = panels.map((panel, index) => drawPanel(panel, { across, cases }, index)).join('')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escaped(title)}</title><style>${STYLE}</style>
${text(PANEL.left, 20, title, 'title')}${legend(panels[0]?.lines ?? [])}${body}</svg>
`
}

function legend(lines: readonly PlotLine[]): string {
  let x = PANEL.left
  return lines
    .map(({ name }, index) => {
      const entry = `<rect x="${x}" y="33" width="14" height="4" fill="${color(index)}"/>${text(x + 20, 39, name)}\n`
      x += 40 + name.length * 7
      return entry
    })
    .join('')
}

function drawPanel(panel: PlotPanel, { across, cases }: Pick<Plot, 'across' | 'cases'>, index: number): string {
  const left = index * (PANEL.left + PANEL.width + PANEL.right) + PANEL.left
  const { top, width, height } = PANEL
  const bottom = top + height
  const scale = scaleOf(panel)
  const x = (at: number) => round(left + (width * (at + 0.5)) / cases.length)
  const y = (value: number) => round(bottom - height * scale.share(value))
  const rows = scale.ticks.map(
    (tick) =>
      `<path class="grid" d="M${left} ${y(tick)}h${width}"/>${text(left - 6, y(tick) + 4, figure(tick), undefined, 'end')}\n`,
  )
  const columns = cases.map((name, at) => text(x(at), bottom + 18, name, undefined, 'middle'))
  const lowest = cases.map((_, at) => lowestOf(panel.lines, at))
  const curves = panel.lines.map((line, at) => drawLine(line, { stroke: color(at), x, y, lowest }))
  const heading = text(left, top - 12, panel.title, 'panel')
  return `${heading}\n${rows.join('')}${columns.join('')}${text(left + width / 2, bottom + 38, across, undefined, 'middle')}\n${curves.join('')}`
}

/** The line that has the lowest value of a case, where others have one too: its value stands below, free of theirs. */
function lowestOf(lines: readonly PlotLine[], at: number): PlotLine | undefined {
  const there = lines.filter(({ values }) => values[at] !== undefined)
  if (there.length < 2) return undefined
  return there.reduce((lowest, line) => ((line.values[at] ?? 0) < (lowest.values[at] ?? 0) ? line : lowest))
}

interface LinePlace {
  readonly stroke: string
  readonly x: (at: number) => number
  readonly y: (value: number) => number
  readonly lowest: readonly (PlotLine | undefined)[]
}

function drawLine(line: PlotLine, { stroke, x, y, lowest }: LinePlace): string {
  const points = line.values.flatMap((value, at) =>
    value === undefined ? [] : [{ x: x(at), y: y(value), value, to: lowest[at] === line ? VALUE.below : VALUE.above }],
  )
  const path = points.map((point, at) => `${at === 0 ? 'M' : 'L'}${point.x} ${point.y}`).join('')
  const dots = points.map(
    (point) =>
      `<circle cx="${point.x}" cy="${point.y}" r="${DOT}" fill="${stroke}"/>${text(point.x, point.y + point.to, figure(point.value), 'value', 'middle')}`,
  )
  return `<path class="curve" stroke="${stroke}" d="${path}"/>\n${dots.join('\n')}\n`
}

interface Scale {
  /** Height of a value as a share of the panel. */
  share(value: number): number
  readonly ticks: readonly number[]
}

/** Linear ones begin at zero, so that heights may be compared; both end at a tick above the largest value. */
function scaleOf({ scale, lines }: PlotPanel): Scale {
  const values = lines.flatMap((line) => line.values.filter((value) => value !== undefined && value > 0)) as number[]
  const most = Math.max(1, ...values)
  if (scale === 'linear') {
    const step = roundStep(most / 4)
    const end = step * Math.ceil((most * 1.05) / step)
    return { share: (value) => value / end, ticks: range(0, Math.round(end / step)).map((at) => at * step) }
  }
  const least = Math.min(most, ...values)
  const ticks = logarithmicTicks(least / 1.1, most * 1.2)
  const [low = 1, high = 10] = [ticks[0], ticks.at(-1)]
  return { share: (value) => Math.log(Math.max(value, low) / low) / Math.log(high / low), ticks }
}

/** 1, 2 and 5 times powers of ten, from the last below `least` to the first above `most`. */
function logarithmicTicks(least: number, most: number): number[] {
  const all = range(Math.floor(Math.log10(least)) - 1, Math.ceil(Math.log10(most)) + 1).flatMap((power) =>
    [1, 2, 5].map((factor) => factor * 10 ** power),
  )
  const first = all.findLastIndex((tick) => tick <= least)
  const last = all.findIndex((tick) => tick >= most)
  return all.slice(first, last + 1)
}

/** The next of 1, 2, 5 times a power of ten. */
function roundStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 2, 5].find((factor) => factor * power >= value) ?? 10)
}

/** Whole numbers, both ends included. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

function color(index: number): string {
  return COLORS[index % COLORS.length] ?? '#888'
}

function text(x: number, y: number, content: string, name?: string, anchor?: 'middle' | 'end'): string {
  const attributes = `${name === undefined ? '' : ` class="${name}"`}${anchor === undefined ? '' : ` text-anchor="${anchor}"`}`
  return `<text x="${round(x)}" y="${round(y)}"${attributes}>${escaped(content)}</text>`
}

function figure(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 })
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
