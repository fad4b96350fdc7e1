import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Manifest, ROOT } from './manifests.ts'

/** Where kubernetes-types has the type of an object, by its apiVersion. */
const TYPES: Readonly<Record<string, string>> = {
  v1: 'kubernetes-types/core/v1',
  'apps/v1': 'kubernetes-types/apps/v1',
  'policy/v1': 'kubernetes-types/policy/v1',
  'networking.k8s.io/v1': 'kubernetes-types/networking/v1',
}

/**
 * What Kubernetes' API server would say with strict validation, without one: the schemas check types and required
 * fields, and the compiler refuses a field that its type does not have. One message for each object with a problem.
 */
export async function problemsOf(manifests: readonly Manifest[]): Promise<string[]> {
  return [...(await schemaProblems(manifests)), ...typeProblems(manifests)]
}

async function schemaProblems(manifests: readonly Manifest[]): Promise<string[]> {
  const problems: string[] = []
  for (const manifest of manifests) {
    const { [manifest.kind]: Model } = (await import(
      `kubernetes-models/${manifest.apiVersion}/${manifest.kind}`
    )) as Record<string, new (manifest: Manifest) => { validate(): void }>
    if (Model === undefined) throw new Error(`kubernetes-models does not know ${manifest.apiVersion} ${manifest.kind}`)
    try {
      new Model(manifest).validate()
    } catch (error) {
      problems.push(`${manifest.kind} ${manifest.metadata.name}: ${(error as Error).message}`)
    }
  }
  return problems
}

/** Writes each object as a literal of its type and compiles them: literals may have no field that the type lacks. */
function typeProblems(manifests: readonly Manifest[]): string[] {
  const parent = join(ROOT, '.cache')
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, 'k8s-'))
  try {
    const files = manifests.map((manifest, index) => {
      const module = TYPES[manifest.apiVersion]
      if (module === undefined) throw new Error(`no types are known for ${manifest.apiVersion}`)
      const name = `${manifest.kind}-${manifest.metadata.name}-${index}.ts`
      writeFileSync(
        join(folder, name),
        `import type { ${manifest.kind} } from '${module}'\nexport const manifest: ${manifest.kind} = ${JSON.stringify(manifest, undefined, 2)}\n`,
      )
      return name
    })
    const args = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--module', 'preserve', ...files]
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    const { stdout, status } = spawnSync(process.execPath, [compiler, ...args], { cwd: folder, encoding: 'utf8' })
    if (status === 0) return []
    return stdout.split('\n').filter((line) => line.includes('error TS'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
