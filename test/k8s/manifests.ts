import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

/** One object of Kubernetes, as far as the tests look into it; its full shape is checked by the types of Kubernetes. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  // biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, whose fields a test names one by one.
  readonly spec: any
}

/** What `kubectl apply -k` would send to the cluster. Needs kubectl, not a cluster. */
export function render(folder: string): Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', folder], { cwd: ROOT, encoding: 'utf8' })
  return parseManifests(text)
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest)
}

export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name)
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
  return found
}
