/**
 * Architecture and hygiene as a test: `npm run tidy` reads every source and document of the repository and names each
 * place that breaks a rule of CONTRIBUTING.md that neither the compiler nor biome enforces. Exits 1 when there is one.
 */
if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write('tidy runs under the pinned Node: call it as `npm run tidy`\n')
  process.exit(2)
}
const { readTree } = await import('./tidy/tree.ts')
const { RULES } = await import('./tidy/rules.ts')
const { fileURLToPath } = await import('node:url')

const tree = readTree(fileURLToPath(new URL('..', import.meta.url)))
const problems = RULES.flatMap((rule) => rule.check(tree).map((problem) => ({ ...problem, rule: rule.name })))
for (const { path, line, rule, message } of problems) process.stdout.write(`${path}:${line}  ${rule}: ${message}\n`)
process.stdout.write(
  problems.length === 0
    ? `tidy: ${tree.files.length} files, ${RULES.length} rules, nothing to mend\n`
    : `tidy: ${problems.length} places to mend\n`,
)
process.exitCode = problems.length === 0 ? 0 : 1
