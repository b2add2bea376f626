/**
 * Settings files: what a Reconfigure request asks for is put over what is there. Comments and blank lines go.
 * A line that is no setting is kept as it is, for the server to refuse in its own words.
 */
import { parse, stringify } from 'yaml'
import { isObject } from '../../../../shared/values/json.ts'

/** PostgreSQL's `user.conf`: `name = value`, order is kept. */
export function mergeSettings(base: string, change: string): string {
  const keyed = (text: string) =>
    linesOf(text).map((line) => {
      const name = /^([A-Za-z_][\w.]*)\s*(?:=|\s)/.exec(line)?.[1]?.toLowerCase()
      return [name ?? line, line] as const
    })
  return textOf([...new Map([...keyed(base), ...keyed(change)]).values()])
}

/**
 * Redis' and Memcached's files: `name value` or `--name=value`, and some names may come several times: all those of
 * `change` replace all those of `base`.
 */
export function mergeDirectives(base: string, change: string): string {
  const nameOf = (line: string) => (/^[^\s=]+/.exec(line)?.[0] ?? line).toLowerCase()
  const changed = new Set(linesOf(change).map(nameOf))
  return textOf([...linesOf(base).filter((line) => !changed.has(nameOf(line))), ...linesOf(change)])
}

/** MySQL's `*.cnf`: settings in sections. */
export function mergeSections(base: string, change: string): string {
  const sections = new Map<string, Map<string, string>>()
  for (const text of [base, change]) {
    let header = ''
    for (const line of linesOf(text)) {
      if (/^\[.*\]$/.test(line)) {
        header = line
        continue
      }
      const section = sections.get(header) ?? new Map<string, string>()
      sections.set(header, section)
      const name = (/^[^\s=]+/.exec(line)?.[0] ?? line).toLowerCase().replaceAll('-', '_')
      section.set(name, line)
    }
  }
  return textOf(
    [...sections].flatMap(([header, lines]) => [...(header === '' ? [] : [header]), ...lines.values()]),
  )
}

/** MongoDB's and Elasticsearch's YAML. Throws when one of the texts is none. */
export function mergeYaml(base: string, change: string): string {
  const [below, above]: unknown[] = [parse(base), parse(change)]
  const merged = mergeValues(below ?? {}, above ?? {})
  return isObject(merged) && Object.keys(merged).length === 0 ? '' : stringify(merged)
}

function mergeValues(base: unknown, change: unknown): unknown {
  if (!isObject(base) || !isObject(change)) return change
  const keys = new Set([...Object.keys(base), ...Object.keys(change)])
  return Object.fromEntries(
    [...keys].map((key) => [key, key in change ? mergeValues(base[key], change[key]) : base[key]]),
  )
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}
