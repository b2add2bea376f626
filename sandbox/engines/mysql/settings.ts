/** Option files of MySQL (`my.cnf`), as far as a server reads them. Pure. */

/** Sections that a server of either make reads. */
const sections = ['mysqld', 'server', 'mariadb', 'mariadbd']

/** @returns name → value of each setting, the last one wins; a switch without a value is `undefined` */
export function settingsIn(config: string): Map<string, string | undefined> {
  const settings = new Map<string, string | undefined>()
  let read = true
  for (const line of config.split('\n').map((text) => text.trim())) {
    const section = /^\[(.*)\]$/.exec(line)?.[1]
    if (section !== undefined) read = sections.includes(section.trim())
    const [, name, value] = /^([A-Za-z][\w.-]*)(?:\s*=\s*(.*))?$/.exec(line) ?? []
    if (!read || name === undefined) continue
    settings.set(name.toLowerCase().replaceAll('-', '_'), value === undefined ? undefined : unquoted(value))
  }
  return settings
}

/** A setting that a running server has to be told of. */
export interface Change {
  readonly name: string
  /** as in `SET GLOBAL name = value`; DEFAULT for what is not set any more */
  readonly value: string
}

/**
 * @param base settings below those of the user, which come back when the user's are gone
 * @returns what is different after the change, or `restart` when a running server cannot be told of all of it
 */
export function changesBetween(base: string, before: string, after: string): Change[] | 'restart' {
  const [lowest, old, wanted] = [settingsIn(base), settingsIn(before), settingsIn(after)]
  const names = [...new Set([...old.keys(), ...wanted.keys()])]
  const changes: Change[] = []
  for (const name of names) {
    const from = old.has(name) ? old.get(name) : lowest.get(name)
    const to = wanted.has(name) ? wanted.get(name) : lowest.get(name)
    if (from === to && old.has(name) === wanted.has(name)) continue
    if (wanted.has(name) && to === undefined) return 'restart'
    changes.push({ name, value: to === undefined ? 'DEFAULT' : inStatement(to) })
  }
  return changes
}

/** Sizes are numbers in statements, words stand as they are, anything else is text. */
function inStatement(value: string): string {
  const [, number, unit = ''] = /^(\d+)([KMGT]?)$/i.exec(value) ?? []
  if (number !== undefined) {
    return String(BigInt(number) * 1024n ** BigInt(' KMGT'.indexOf(unit.toUpperCase() || ' ')))
  }
  if (/^\d+\.\d+$/.test(value)) return value
  if (/^(ON|OFF|TRUE|FALSE)$/i.test(value)) return value.toUpperCase()
  return `'${value.replace(/[\\']/g, String.raw`\$&`)}'`
}

function unquoted(value: string): string {
  const [, inside] = /^(?:"(.*)"|'(.*)')$/.exec(value)?.slice(0, 2) ?? []
  return inside ?? value
}
