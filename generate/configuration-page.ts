import type { Variable } from '../shared/config.ts'
import { table } from './table.ts'

const introduction = `# Configuration

Every function is configured by environment variables and mounted files only. A function that finds its configuration
wrong logs every mistake and exits. This page is generated from \`shared/config.ts\` by \`npm run generate\`.
`

/** @returns docs/configuration.md */
export function configurationPage(variables: readonly Variable[]): string {
  const rows = variables.map(({ name, default: value, meaning }) => [
    `\`${name}\``,
    value === undefined || value === '' ? '' : `\`${value}\``,
    meaning,
  ])
  const standard =
    'Telemetry is configured by the standard variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_ENDPOINT` and its kin); without them none is sent.'
  return [introduction, table(['Variable', 'Default', 'Meaning'], rows), `\n${standard}\n`].join('\n')
}
