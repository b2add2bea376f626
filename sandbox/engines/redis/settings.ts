/**
 * A redis.conf as a map: the last word on a directive, save that those which may be repeated are put together, as
 * `CONFIG SET` takes them.
 */
export type RedisSettings = ReadonlyMap<string, string>

const repeated = new Set(['save', 'client-output-buffer-limit'])

const word = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)/g

/** @returns the directives of a redis.conf, their names in lower case */
export function parseRedisSettings(text: string): RedisSettings {
  const settings = new Map<string, string>()
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || line.startsWith('#')) continue
    const [name = '', ...values] = wordsOf(line)
    const key = name.toLowerCase()
    const value = values.join(' ')
    const before = repeated.has(key) ? settings.get(key) : undefined
    settings.set(key, before ? `${before} ${value}` : value)
  }
  return settings
}

/** @returns what has to be said to the server, and what it was told before and is not any more */
export function compareRedisSettings(
  before: RedisSettings,
  after: RedisSettings,
): { changed: [name: string, value: string][]; removed: string[] } {
  return {
    changed: [...after].filter(([name, value]) => before.get(name) !== value),
    removed: [...before.keys()].filter((name) => !after.has(name)),
  }
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(word)].map(
    ([, double, single, plain]) => plain ?? (double ?? single ?? '').replace(/\\(.)/g, '$1'),
  )
}
