/**
 * A shape as tables: which members an object has at each place, and what some values match. Policies hold the tables
 * against what is written, so that they can be read as such. Pure.
 */
import { isList, isMatching, isMembers, isOfUser, isOneOf, type Shape } from './shape.ts'

/** An object somewhere in what is written. */
export interface PlaceOf {
  /** as people write it: `spec.tls.certificates[]` */
  path: string
  /** what leads there from the root, in CEL: `.?tls.?issuerRef` */
  way: string
}

/** What a value matches: its text, or the lines of a list's elements; see {@link own}. */
export interface Pattern {
  text: string
  isList: boolean
  /** the same, of the elements of a list that begin with the name of a user: what may follow. Long lists cost less so */
  afterUser?: readonly string[]
}

export interface Table {
  places: PlaceOf[]
  /** path of a place → its members */
  members: { [path: string]: string[] }
  /** path of a place → member → what its value matches */
  values: { [path: string]: { [member: string]: Pattern } }
  /** lists of objects: a table each, of their elements */
  lists: { way: string; elements: Table }[]
  /** what was left out, with its shape */
  parts: (PlaceOf & { shape: Shape })[]
}

/** Stands in patterns for the name of the database, which no pattern knows. */
export const own = '<name>'
/** The same, cut as KubeDB cuts it where a long text follows. */
export const ownStart = '<start of name>'

/** Stands for what files of settings match, which is long. */
export const settings = '<settings>'

/** What the name of a binding's user matches, how long it is, and what stands for it where it comes again. */
export const userName = 'b[a-z2-7]{26}'
export const userNameLength = 27
export const someUser = '<user>'

/** @returns whether a key can stand behind a dot */
export const isName = (key: string): boolean => /^[a-zA-Z_]\w*$/.test(key)

/** @returns a step of CEL to a member, if it is there */
export const step = (key: string): string => (isName(key) ? `.?${key}` : `[?${JSON.stringify(key)}]`)

/**
 * @param part name of members that have a table of their own
 * @returns the tables of a shape of an object
 */
export function tableOf(shape: Shape, root: PlaceOf, part?: string): Table {
  const table: Table = { places: [], members: {}, values: {}, lists: [], parts: [] }
  const visit = (inner: Shape, at: PlaceOf): void => {
    if (!isMembers(inner)) return
    table.places.push(at)
    table.members[at.path] = Object.keys(inner)
    for (const [key, value] of Object.entries(inner)) {
      const below = { path: `${at.path}.${key}`, way: `${at.way}${step(key)}` }
      const pattern = patternOf(value)
      if (key === part && isMembers(value)) table.parts.push({ ...below, shape: value })
      else if (pattern !== undefined) table.values[at.path] = { ...table.values[at.path], [key]: pattern }
      else if (isList(value)) {
        const [each] = value
        if (each !== undefined && isMembers(each))
          table.lists.push({ way: below.way, elements: tableOf(each, { path: `${below.path}[]`, way: '' }) })
      } else visit(value, below)
    }
  }
  visit(shape, root)
  return table
}

/** @returns undefined where anything will do */
function patternOf(shape: Shape): Pattern | undefined {
  const text = textOf(shape)
  if (text === undefined) return undefined
  const [each] = isList(shape) ? shape : []
  return {
    text,
    isList: isList(shape) || (isOneOf(shape) && shape['='].every((value) => Array.isArray(value))),
    ...(each !== undefined && isOfUser(each) ? { afterUser: each['+user'] } : {}),
  }
}

function textOf(shape: Shape): string | undefined {
  if (isList(shape)) {
    const [each] = shape
    const inner = each === undefined || isMembers(each) ? undefined : alternatives(each)
    return inner === undefined ? undefined : `^((${inner})(\\n|$))*$`
  }
  if (isOneOf(shape) || isMatching(shape) || isOfUser(shape)) return `^(${alternatives(shape)})$`
  switch (shape) {
    case 'own Secret':
      return `^(${own}-[a-z0-9-]+)?$`
    case 'own name':
      return `^${own}$`
    case 'not root':
      return '^[1-9][0-9]*$'
    case 'settings':
      return settings
    default:
      return undefined
  }
}

function alternatives(shape: Shape): string | undefined {
  if (isOfUser(shape))
    return shape['+user']
      .map((text) => `${userName}${escaped(text).replaceAll(someUser, userName)}`)
      .join('|')
  if (isMatching(shape)) return shape['~'].join('|')
  if (!isOneOf(shape)) return undefined
  return shape['='].map((value) => escaped(Array.isArray(value) ? value.join('\n') : String(value))).join('|')
}

/** @returns an expression that matches this text alone */
export const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** @returns one table with what both have */
export function merged(one: Table, other: Table): Table {
  return {
    places: [...one.places, ...other.places],
    members: { ...one.members, ...other.members },
    values: { ...one.values, ...other.values },
    lists: [...one.lists, ...other.lists],
    parts: [...one.parts, ...other.parts],
  }
}
