import type { Variable } from '../shared/environment/config.ts'
import { table } from './table.ts'

const introduction = `# Configuration

Every function is configured by environment variables and mounted files only. A function that finds its configuration
wrong logs every mistake and exits. This page is generated from \`shared/environment/config.ts\` by \`npm run generate\`.
`

const router = `
## The edge router

Where it stands before the functions (\`knative/overlays/edge-router\`), it reads these:
`

/** @returns docs/configuration.md */
export function configurationPage(functions: readonly Variable[], edge: readonly Variable[]): string {
  const standard =
    'Telemetry is configured by the standard variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_ENDPOINT` and its kin); without them none is sent.'
  return [introduction, tableOf(functions), `\n${standard}`, router, tableOf(edge), ''].join('\n')
}

function tableOf(variables: readonly Variable[]): string {
  const rows = variables.map(({ name, default: value, meaning }) => [
    `\`${name}\``,
    value === undefined || value === '' ? '' : `\`${value}\``,
    meaning,
  ])
  return table(['Variable', 'Default', 'Meaning'], rows)
}
