/** What is refused at the installation although each value by itself is right; the functions would at their start. */
import { ConfigurationError, environment, loadConfig } from '../../shared/environment/config.ts'
import { systemNamespaces } from '../../shared/environment/system-namespaces.ts'

const least = { BROKER_NAMESPACE: 'broker', DATABASE_NAMESPACE: 'databases' }

/** @returns lines of a template that print nothing, or end the rendering with a sentence */
export function refusals(): string {
  return `{{- if and (eq $.Values.databases.policy \`fixed\`) (ne (len $.Values.databases.namespaces) 1) }}{{ fail (printf \`databases.namespaces is %v: %s\` $.Values.databases.namespaces \`must be one namespace; databases.policy=context takes more\`) }}{{ end }}
{{- range $.Values.databases.namespaces }}
${refusal(`regexMatch \`${systemNamespaces.source}\` .`, 'databases.namespaces', '.', {
  ...least,
  DATABASE_NAMESPACE: 'kube-system',
})}
${refusal('eq . $.Release.Namespace', 'databases.namespaces', '.', {
  ...least,
  DATABASE_NAMESPACE: least.BROKER_NAMESPACE,
})}
{{- end }}
{{- with $.Values.configuration }}
${refusal(
  'and .NODE_HOST (ne (.ADDRESSES | default `cluster`) `external`)',
  'configuration.NODE_HOST',
  '.NODE_HOST',
  { ...least, NODE_HOST: 'node.example.com' },
)}
${refusal(
  `le (int (.ABANDONED_AFTER | default ${standard('ABANDONED_AFTER')})) (int (.REQUEST_BUDGET | default ${standard('REQUEST_BUDGET')}))`,
  'configuration.ABANDONED_AFTER',
  `(int (.ABANDONED_AFTER | default ${standard('ABANDONED_AFTER')}))`,
  { ...least, ABANDONED_AFTER: '45', REQUEST_BUDGET: '45' },
)}
{{- end }}
`
}

/**
 * @param wrong an environment that the functions refuse for the same reason: their sentence is the one that is shown
 */
function refusal(condition: string, name: string, value: string, wrong: NodeJS.ProcessEnv): string {
  const sentence = reason(wrong)
  if (/["`]/.test(sentence)) throw new Error(`a template cannot hold: ${sentence}`)
  return `{{- if ${condition} }}{{ fail (printf \`${name} is %v: %s\` ${value} \`${sentence}\`) }}{{ end }}`
}

/** @returns what a function says about it, without the variable and its value */
function reason(wrong: NodeJS.ProcessEnv): string {
  try {
    loadConfig(wrong)
  } catch (error) {
    const mistake = error instanceof ConfigurationError ? error.mistakes[0] : undefined
    if (mistake !== undefined) return mistake.replace(/^\S+ is (missing|"[^"]*"): /, '')
    throw error
  }
  throw new Error(`the functions take what the chart refuses: ${JSON.stringify(wrong)}`)
}

function standard(name: string): string {
  return environment()[name]?.default ?? ''
}
