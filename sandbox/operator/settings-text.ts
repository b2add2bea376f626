/** PostgreSQL's `user.conf`, line by line: `name = value`, `#` begins a comment. */

/**
 * The settings of `base` with those of `change` put over them: what a Reconfigure request asks for.
 * Comments and blank lines of both are dropped, order is kept.
 */
export function mergeSettings(base: string, change: string): string {
  const merged = new Map([...parseLines(base), ...parseLines(change)])
  return [...merged.values()].map((line) => `${line}\n`).join('')
}

/** A line that is no setting is kept as it is, for the server to refuse in its own words. */
function parseLines(text: string): [key: string, line: string][] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const name = /^([A-Za-z_][\w.]*)\s*(?:=|\s)/.exec(line)?.[1]?.toLowerCase()
      return [name ?? line, line]
    })
}
