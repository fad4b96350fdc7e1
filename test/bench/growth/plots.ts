import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MIB } from '@ashlar/proto'
import { AXIS_NAMES, AXIS_TITLES, type AxisName } from './axes.ts'
import { type Plot, type PlotPanel, plotSvg } from './plot.ts'
import type { GrowthPoint } from './points.ts'

/** Writes `growth-AXIS.svg` for each axis that was measured; gives the files' names. */
export async function writePlots(points: readonly GrowthPoint[], directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true })
  const files: string[] = []
  for (const axis of AXIS_NAMES) {
    const measured = points.filter((point) => point.axis === axis)
    if (measured.length === 0) continue
    const file = join(directory, `growth-${axis}.svg`)
    await writeFile(file, plotSvg(plotOf(measured, axis, AXIS_TITLES[axis])))
    files.push(file)
  }
  return files
}

/** Rate, CPU and memory over the cases of one axis. */
export function plotOf(points: readonly GrowthPoint[], axis: AxisName, across: string): Plot {
  const cases = [...new Set(points.map(({ label }) => label))]
  const jobs = [...new Set(points.map(({ job }) => job))]
  const panel = (title: string, scale: PlotPanel['scale'], of: (point: GrowthPoint) => number): PlotPanel => ({
    ...{ title, scale },
    lines: jobs.map((job) => ({
      name: job,
      values: cases.map((label) => {
        const point = points.find((candidate) => candidate.job === job && candidate.label === label)
        return point === undefined ? undefined : of(point)
      }),
    })),
  })
  return {
    title: `How cost grows: ${axis}`,
    ...{ across, cases },
    panels: [
      panel('Operations a second', 'logarithmic', ({ operationsPerSecond }) => operationsPerSecond),
      panel('CPU of one operation, microseconds', 'logarithmic', ({ cpuUs }) => cpuUs),
      panel('Anonymous memory of all nodes, MiB', 'linear', ({ nodeAnonymousBytes }) => nodeAnonymousBytes / MIB),
    ],
  }
}
