/** Expressions of CEL that hold tables against what is written. Pure. */
import {
  isName,
  own,
  ownStart,
  type PlaceOf,
  settings,
  someUser,
  step,
  type Table,
  userName,
  userNameLength,
} from './table.ts'

/** @returns a text, a list or a map in CEL */
export const cel = (value: unknown): string => JSON.stringify(value)

/** @returns the map in CEL, a line for each entry */
export function table(entries: { readonly [key: string]: unknown }): string {
  return map(Object.entries(entries).map(([key, value]) => `${cel(key)}: ${cel(value)}`))
}

/** @returns patterns by place and member; they know the name of the database, an expression */
export function patterns(values: Table['values'], name: string): string {
  const text = (pattern: string) => (pattern === settings ? 'variables.settings' : patternOf(pattern, name))
  return map(
    Object.entries(values).map(
      ([path, members]) =>
        `${cel(path)}: {${Object.entries(members)
          .map(([key, pattern]) => `${cel(key)}: ${text(pattern.text)}`)
          .join(', ')}}`,
    ),
  )
}

/** @returns a pattern that knows the name of the database, an expression */
function patternOf(pattern: string, name: string): string {
  const start = `${name}.substring(0, ${name}.size() < 35 ? ${name}.size() : 35)`
  const marks = [...pattern.matchAll(new RegExp(`${own}|${ownStart}`, 'g'))].map(([mark]) => mark)
  return pattern
    .split(new RegExp(`${own}|${ownStart}`))
    .flatMap((part, index) => {
      const mark = marks[index]
      return [cel(part), ...(mark === undefined ? [] : [mark === own ? name : start])]
    })
    .join(' + ')
}

/**
 * @param root an object in CEL
 * @param whole the same as an optional
 * @returns what is at each place, where something is: path → value
 */
export const at = (places: readonly PlaceOf[], root: string, whole = `optional.of(${root})`): string =>
  map(places.map(({ path, way }) => `?${cel(path)}: ${way === '' ? whole : `${root}${way}`}`))

const map = (entries: readonly string[]) => (entries.length === 0 ? '{}' : `{\n  ${entries.join(',\n  ')}\n}`)

/** Two maps of places: as they are now, and as they were before. */
type Pair = string

/**
 * Something that must not be there. An API server works out the text of a refusal for every write, also for one that it
 * lets through: so there is a short answer, and the long one is asked for only after that.
 */
export interface Find {
  /** true where there is nothing of it */
  isFine: string
  /** one text: the paths of what is wrong */
  names: string
}

/** An object in CEL, and what it was before; undefined where it is new. */
export interface Sides {
  now: string
  before?: string
}

/**
 * @param rule what has to hold of a place, for an expression of the object there and one of what it was; undefined where
 *   anything may be
 * @returns expressions that say so, places of which the same holds together
 */
function everyPlace(
  { places }: Table,
  { now, before }: Sides,
  rule: (path: string, object: string, was: string | undefined) => string | undefined,
): string[] {
  const alike = new Map<string, string[]>()
  const there = (side: string, way: string) => (way === '' ? side : `${side}${way}.orValue({})`)
  for (const { path, way } of places) {
    const holds = before === undefined ? rule(path, 's', undefined) : rule(path, 's[0]', 's[1]')
    if (holds === undefined) continue
    const one = before === undefined ? there(now, way) : `[${there(now, way)}, ${there(before, way)}]`
    alike.set(holds, [...(alike.get(holds) ?? []), one])
  }
  return [...alike].map(([holds, all]) => `[${all.join(',\n  ')}].all(s, ${holds})`)
}

/** @returns expressions about the places of the table: they have the members of the table alone */
export const onlyMembers = (table: Table, sides: Sides): string[] =>
  everyPlace(table, sides, (path, object, was) => {
    const same = was === undefined ? [] : [`${object}[?k] == ${was}[?k]`]
    return `${object}.all(k, ${[`k in ${cel(table.members[path])}`, ...same].join(' || ')})`
  })

/**
 * @param name expression of the name of the database
 * @param lines what files of settings match
 * @returns expressions about the places of the table of which some values are bounded: they match
 */
export const onlyValues = (table: Table, sides: Sides, name: string, lines: string): string[] =>
  everyPlace(table, sides, (path, object, was) => {
    const alike = new Map<string, { keys: string[]; matches: (value: string) => string }>()
    for (const [key, { text, isList, afterUser }] of Object.entries(table.values[path] ?? {})) {
      const pattern = text === settings ? cel(lines) : patternOf(text, name)
      const matches = (value: string) =>
        afterUser
          ? `${value}.all(u, ${isOfUser('u', afterUser)})`
          : `${isList ? `${value}.join("\\n")` : `string(${value})`}.matches(${pattern})`
      const { keys = [] } = alike.get(matches('')) ?? {}
      alike.set(matches(''), { keys: [...keys, key], matches })
    }
    const isRight = [...alike.values()].map(({ keys, matches }) => {
      const same = (way: string) => (was === undefined ? [] : [`${object}${way} == ${was}${way}`])
      const [key = '', ...more] = keys
      const isOne = more.length === 0 && isName(key)
      const value = isOne ? `${object}.${key}` : `${object}[k]`
      const right = [
        isOne ? `!has(${value})` : `!(k in ${object})`,
        ...same(isOne ? step(key) : '[?k]'),
        matches(value),
      ].join(' || ')
      return isOne ? right : `${cel(keys)}.all(k, ${right})`
    })
    if (isRight.length === 0) return undefined
    return isRight.length === 1 ? isRight.join('') : isRight.map((one) => `(${one})`).join(' && ')
  })

/** @returns whether a text begins with the name of a user, and goes on as one of these */
function isOfUser(text: string, after: readonly string[]): string {
  const user = `${text}.substring(0, ${userNameLength})`
  const rest = `${text}.substring(${userNameLength}).replace(${user}, ${cel(someUser)})`
  return [
    `${text}.size() >= ${userNameLength}`,
    `${user}.matches(${cel(`^${userName}$`)})`,
    `!${text}.contains(${cel(someUser)})`,
    `${rest} in ${cel(after)}`,
  ].join(' && ')
}

/** What stands at a place as it did before may stay. */
const isAsBefore = (pair: Pair) => `${pair}[0][p][?k] == ${pair}[1][?p][?k]`

/**
 * @param pair of maps of places
 * @returns names of members that the table does not have
 */
export const strangeMembers = (pair: Pair, members: string): string =>
  listed(
    `${pair}[0].map(p, ${pair}[0][p].filter(k, !(k in ${members}[p] || ${isAsBefore(pair)})).map(k, p + "." + k).join(", "))`,
  )

/** @returns names of members whose values do not match */
export const strangeValues = (pair: Pair, values: string): string => {
  const value = `${pair}[0][p][k]`
  const isRight = `(type(${value}) == list ? ${value}.join("\\n") : string(${value})).matches(${values}[p][k])`
  return listed(
    `${pair}[0].filter(p, p in ${values}).map(p, ${pair}[0][p].filter(k, k in ${values}[p] && !(${isAsBefore(pair)} || ${isRight})).map(k, p + "." + k).join(", "))`,
  )
}

/** @returns places that differ at all */
export const differing = (pair: Pair): Find => ({
  isFine: `${pair}[0] == ${pair}[1]`,
  names: `(${pair}[0].filter(p, ${pair}[0][?p] != ${pair}[1][?p]) + ${pair}[1].filter(p, !(p in ${pair}[0]))).join(", ")`,
})

/** @returns places that are not what they were; where nothing was, something may be */
export const departing = (pair: Pair): Find => ({
  isFine: `${pair}[1].all(p, ${pair}[0][?p] == ${pair}[1][?p])`,
  names: `${pair}[1].filter(p, ${pair}[0][?p] != ${pair}[1][?p]).join(", ")`,
})

/** @returns the texts of a list as one, without those that are empty */
export const listed = (texts: string): string => `${texts}.filter(text, text != "").join(", ")`

/** @returns names of what is found in each element of a list that is as deep as `depth` */
export function throughout(list: string, depth: number, names: (element: string) => string): string {
  const element = `each${depth}`
  const inner = depth === 1 ? names(element) : throughout(element, depth - 1, names)
  return listed(`${list}.map(${element}, ${inner})`)
}
