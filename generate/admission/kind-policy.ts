/** What a function may write of one kind: its databases and their OpsRequests. Pure. */
import {
  at,
  cel,
  departing,
  differing,
  type Find,
  listed,
  onlyMembers,
  onlyValues,
  patterns,
  type Sides,
  strangeMembers,
  strangeValues,
  table,
  throughout,
} from './cel.ts'
import { keeping } from './keeping.ts'
import { isMembers, type Shape, union, within } from './shape.ts'
import { merged, type PlaceOf, type Table, tableOf } from './table.ts'
import type { WrittenKind } from './written.ts'

export interface Validation {
  expression: string
  message: string
  messageExpression?: string
}

export interface Variable {
  name: string
  expression: string
}

interface Rules {
  variables: Variable[]
  validations: Validation[]
}

/** Pods of all parts of a database are alike: one table is for all. */
const pod = 'podTemplate'

/** Any container of a pod, where people read of it. */
const eachContainer = `${pod}.spec.containers[]`

/** The spec itself, of which the variables tell what it is now and what it was. */
const inSpec: PlaceOf = { path: 'spec', way: '' }
const specs = { now: 'variables.now', before: 'variables.was' } satisfies Sides

/** Whose token it is: the name of a ServiceAccount. */
export const writer: Variable = { name: 'writer', expression: 'request.userInfo.username.split(":")[3]' }

/** @returns what a whole file of settings matches */
const settingsPattern = ({ lines }: WrittenKind) => `^((${lines.join('|')})(\\n|$))*$`

const settingsOf = (kind: WrittenKind): Variable => ({
  name: 'settings',
  expression: cel(settingsPattern(kind)),
})

/** @returns the rules about databases of a kind */
export function databaseRules(kind: WrittenKind): Rules {
  return together([
    {
      variables: [
        writer,
        { name: 'isUpdate', expression: 'request.operation == "UPDATE"' },
        { name: 'now', expression: 'dyn(object.spec)' },
        { name: 'was', expression: 'variables.isUpdate ? dyn(oldObject.spec) : dyn({})' },
        { name: 'specs', expression: '[variables.now, variables.was]' },
        settingsOf(kind),
      ],
      validations: [],
    },
    contentRules(kind),
    updateRules(kind),
  ])
}

const together = (rules: readonly Rules[]): Rules => ({
  variables: rules.flatMap(({ variables }) => variables),
  validations: rules.flatMap(({ validations }) => validations),
})

/** The validation that there is nothing of something, and the variables that say so, and what there is. */
function nothing(
  name: string,
  finds: { isFine: readonly string[]; names: readonly string[] },
  why: string,
  when?: string,
): Rules {
  const isFine = `no${name.charAt(0).toUpperCase()}${name.slice(1)}`
  const all = finds.isFine.join('\n&& ')
  return {
    variables: [
      { name: isFine, expression: when === undefined ? all : `!(${when}) || (${all})` },
      { name, expression: listed(`[\n  ${finds.names.join(',\n  ')}\n]`) },
    ],
    validations: [
      {
        expression: `variables.${isFine}`,
        message: why,
        messageExpression: `variables.${isFine} ? "" : variables.${name} + ${cel(`: ${why}`)}`,
      },
    ],
  }
}

/** @returns the tables of databases: of the spec without its pods, of a pod, and of a pod's container */
function tablesOf(kind: WrittenKind) {
  const whole = union(kind.draft, kind.defaults)
  const spec = tableOf(whole, inSpec, pod)
  const shape = spec.parts.map((part) => part.shape).reduce<Shape>(union, {})
  const template = tableOf(shape, { path: pod, way: '' })
  const [containers, initContainers] = ['containers', 'initContainers'].map((name) =>
    within(shape, ['spec', name]),
  )
  const container = tableOf(
    [containers, initContainers].reduce<Shape>(
      (all, list) => union(all, Array.isArray(list) ? (list[0] ?? {}) : {}),
      {},
    ),
    { path: eachContainer, way: '' },
  )
  return { spec, template, container }
}

/** A database has the members that the broker or KubeDB write, and the values that they write. */
function contentRules(kind: WrittenKind): Rules {
  const { spec, template, container } = tablesOf(kind)
  const elements = spec.lists.map(({ elements: of }) => of)
  const inContainers = container.lists.map(({ elements: of }) => of)
  const all = [spec, ...elements, template, container, ...inContainers].reduce(merged)
  const changed = (list: string) =>
    `variables.templates[0][?p].?spec.?${list}.orValue([]).filter(c, !(c in variables.templates[1][?p].?spec.?${list}.orValue([])))`
  const containers = `variables.templates[0].map(p, (${changed('containers')} + ${changed('initContainers')}).map(c,`
  const pairs = [
    { name: 'places', depth: 0 },
    { name: 'elements', depth: 2 },
    { name: 'pods', depth: 1 },
    { name: 'containers', depth: 2 },
    { name: 'inContainers', depth: 3 },
  ]
  const everywhere = (each: (pair: string) => string) =>
    pairs.map(({ name, depth }) =>
      depth === 0 ? each(`variables.${name}`) : throughout(`variables.${name}`, depth, each),
    )
  return together([
    {
      variables: [
        { name: 'members', expression: table(all.members) },
        { name: 'containerMembers', expression: table(kind.containers) },
        { name: 'values', expression: patterns(all.values, 'object.metadata.name') },
        { name: 'places', expression: `variables.specs.map(s, ${at(spec.places, 's')})` },
        { name: 'elements', expression: elementsOf(spec) },
        { name: 'templates', expression: `variables.specs.map(s, ${at(spec.parts, 's')})` },
        {
          name: 'pods',
          expression: `variables.templates[0].filter(p, variables.templates[0][?p] != variables.templates[1][?p]).map(p, variables.templates.map(side, ${at(template.places, 'side[?p]', 'side[?p]')}))`,
        },
        {
          name: 'containers',
          expression: `${containers} [${at(container.places, 'c')}, {}]))`,
        },
        {
          name: 'inContainers',
          expression: `${containers}\n  ${container.lists
            .map(({ way, elements: of }) => `c${way}.orValue([]).map(e, [${at(of.places, 'e')}, {}])`)
            .join('\n  + ')}))`,
        },
      ],
      validations: [],
    },
    nothing(
      'strangeMembers',
      {
        isFine: throughoutDatabase(kind, onlyMembers, [
          'c.name in variables.containerMembers && c.all(k, k in variables.containerMembers[c.name])',
        ]),
        names: [
          ...everywhere((pair) => strangeMembers(pair, 'variables.members')),
          throughout('variables.containers', 2, strangeInContainer),
        ],
      },
      `the broker writes no such field into a ${kind.kind}`,
    ),
    nothing(
      'strangeValues',
      {
        isFine: throughoutDatabase(kind, (table, sides) =>
          onlyValues(table, sides, 'object.metadata.name', settingsPattern(kind)),
        ),
        names: everywhere((pair) => strangeValues(pair, 'variables.values')),
      },
      'the broker writes other values here: Secrets and ServiceAccounts of this database alone, settings that it offers, no privileges',
    ),
  ])
}

/**
 * @param each expressions about an object, for its table
 * @param ofContainers more of them, about a container `c`
 * @returns these about the spec, its lists, its pods and their containers
 */
function throughoutDatabase(
  kind: WrittenKind,
  each: (table: Table, sides: Sides) => string[],
  ofContainers: readonly string[] = [],
): string[] {
  const { spec, template, container } = tablesOf(kind)
  const inList = (list: string, old: string, inner: string[]) =>
    inner.length === 0 ? [] : [`${list}.all(e, e in ${old} || (${inner.join(' && ')}))`]
  const oldContainers = ['containers', 'initContainers'].map((name) => `t[1].?spec.?${name}.orValue([])`)
  const inContainer = [
    ...ofContainers,
    ...each(container, { now: 'c' }),
    ...container.lists.flatMap(({ way, elements }) =>
      inList(`c${way}.orValue([])`, '[]', each(elements, { now: 'e' })),
    ),
  ]
  const inTemplate = [
    ...each(template, { now: 't[0]', before: 't[1]' }),
    `(t[0].?spec.?containers.orValue([]) + t[0].?spec.?initContainers.orValue([])).all(c, ${oldContainers.map((list) => `c in ${list}`).join(' || ')} || (${inContainer.join('\n    && ')}))`,
  ]
  const before = 'variables.templates[1][?p]'
  return [
    ...each(spec, specs),
    ...spec.lists.flatMap(({ way, elements }) =>
      inList(
        `${specs.now}${way}.orValue([])`,
        `${specs.before}${way}.orValue([])`,
        each(elements, { now: 'e' }),
      ),
    ),
    ...(spec.parts.length === 0
      ? []
      : [
          `variables.templates[0].all(p, variables.templates[0][?p] == ${before} || [[variables.templates[0][p], ${before}.orValue({})]].all(t, ${inTemplate.join('\n  && ')}))`,
        ]),
  ]
}

/** Containers differ in what they have. */
function strangeInContainer(pair: string): string {
  const container = `${pair}[0][${cel(eachContainer)}]`
  const members = 'variables.containerMembers'
  return `${container}.name in ${members} ? ${container}.filter(k, !(k in ${members}[${container}.name])).map(k, ${cel(`${eachContainer}.`)} + k).join(", ") : ${cel(`${eachContainer}.name`)}`
}

/** @returns lists of pairs, one for each list of objects in the spec: the elements that were not there before */
function elementsOf({ lists }: Table): string {
  if (lists.length === 0) return '[]'
  return `[\n  ${lists
    .map(
      ({ way, elements }) =>
        `${specs.now}${way}.orValue([]).filter(e, !(e in ${specs.before}${way}.orValue([]))).map(e, [${at(elements.places, 'e')}, {}])`,
    )
    .join(',\n  ')}\n]`
}

/** A patch changes what patches are for; KubeDB's webhooks may fill in what is not there yet. */
function updateRules(kind: WrittenKind): Rules {
  const templates = (shape: Shape) =>
    tableOf(shape, inSpec, pod)
      .parts.map((part) => part.shape)
      .reduce<Shape>(union, {})
  const ofSpec = keeping(kind.draft, kind.defaults, kind.patch, inSpec, pod)
  const ofPod = keeping(templates(kind.draft), templates(kind.defaults), undefined, { path: pod, way: '' })
  const sides = (places: readonly PlaceOf[]) => `variables.specs.map(s, ${at(places, 's')})`
  const inPods = (places: readonly PlaceOf[]) =>
    `variables.templates[1].map(p, variables.templates.map(side, ${at(places, 'side[?p]')}))`
  const lost = ['containers', 'initContainers'].map((list) => {
    const [now, before] = [0, 1].map((side) => `variables.templates[${side}][?p].?spec.?${list}.orValue([])`)
    return `${before}.filter(c, !${now}.exists(d, d.name == c.name && ${sameResources})).map(c, p + ".spec.${list}." + c.name)`
  })
  const inEach = (list: string, find: (pair: string) => Find): Find => ({
    isFine: `${list}.all(pair, ${find('pair').isFine})`,
    names: throughout(list, 1, (pair) => find(pair).names),
  })
  const finds = [
    differing('variables.fixed'),
    departing('variables.kept'),
    inEach('variables.fixedInPods', differing),
    inEach('variables.keptInPods', departing),
    { isFine: 'variables.lost.all(text, text == "")', names: listed('variables.lost') },
  ]
  return together([
    {
      variables: [
        { name: 'fixed', expression: sides(ofSpec.fixed) },
        { name: 'kept', expression: sides(ofSpec.kept) },
        { name: 'fixedInPods', expression: inPods(ofPod.fixed) },
        { name: 'keptInPods', expression: inPods(ofPod.kept) },
        {
          name: 'lost',
          expression: `variables.templates[1].map(p, (${lost.join('\n  + ')}).join(", "))`,
        },
      ],
      validations: [],
    },
    nothing(
      'changed',
      { isFine: finds.map(({ isFine }) => isFine), names: finds.map(({ names }) => names) },
      'changes by an OpsRequest alone, or never',
      'variables.isUpdate',
    ),
    {
      variables: [],
      validations: [
        {
          expression: `!(variables.isUpdate && variables.writer == "osb-deprovision") || ${services('now')} == ${services('was')}`,
          message: 'spec.serviceTemplates: a deprovision does not change it',
        },
      ],
    },
  ])
}

/** What the broker says of Services; KubeDB's webhook adds empty metadata. */
const services = (side: 'now' | 'was') =>
  `variables.${side}.?serviceTemplates.orValue([]).map(each, {?"alias": each.?alias, ?"spec": each.?spec})`

/** What a container asks for stays; what it does not ask for yet may be filled in. `1536Mi` is `1.5Gi`. */
const sameResources = ['requests', 'limits']
  .map((part) => {
    const [was, is] = [`c.?resources.?${part}`, `d.?resources.?${part}`]
    return `${was}.orValue({}).all(q, ${is}[?q] == ${was}[?q] || (${is}[?q].hasValue() && quantity(string(${is}[?q].value())).compareTo(quantity(string(${was}[?q].value()))) == 0))`
  })
  .join(' && ')

/** How a name ends of an OpsRequest about users. */
export const usersRequest = 'users-[0-9]+'

/** Who makes which OpsRequests. */
export const makers = {
  changes: ['osb-update', 'osb-last-operation'],
  users: ['osb-bind', 'osb-last-binding-operation'],
  // A poll of an update that resumes a database removes who was unbound meanwhile.
  removals: ['osb-unbind', 'osb-last-operation'],
} as const

/** @returns the rules about OpsRequests of a kind */
export function requestRules(kind: WrittenKind): Rules {
  const shapes = [
    { shape: kind.changes, functions: makers.changes, what: 'changes', when: '!variables.isAboutUsers' },
    { shape: kind.users, functions: makers.users, what: 'users', when: 'variables.isAboutUsers' },
    { shape: kind.removals, functions: makers.removals, what: 'removals', when: 'variables.isAboutUsers' },
  ]
  const made = shapes.flatMap(({ shape, functions, what, when }): Rules[] => {
    if (shape === undefined || !isMembers(shape)) return []
    const of = tableOf(shape, inSpec)
    const name = (rule: string) => `${rule}Of${what.charAt(0).toUpperCase()}${what.slice(1)}`
    const is = `${when} && variables.writer in ${cel(functions)}`
    const pair = `variables.${name('places')}`
    const { now } = specs
    return [
      {
        variables: [
          { name: name('members'), expression: table(of.members) },
          { name: name('values'), expression: patterns(of.values, 'object.spec.databaseRef.name') },
          { name: name('places'), expression: `[${at(of.places, now)}, {}]` },
        ],
        validations: [],
      },
      nothing(
        name('strangeMembers'),
        { isFine: onlyMembers(of, { now }), names: [strangeMembers(pair, `variables.${name('members')}`)] },
        `no OpsRequest of ${functions.join(' and ')} has it`,
        is,
      ),
      nothing(
        name('strangeValues'),
        {
          isFine: onlyValues(of, { now }, 'object.spec.databaseRef.name', settingsPattern(kind)),
          names: [strangeValues(pair, `variables.${name('values')}`)],
        },
        `an OpsRequest of ${functions.join(' and ')} has other values here: settings that the broker offers, Secrets of its database alone`,
        is,
      ),
    ]
  })
  const aboutUsers = shapes.slice(1).flatMap(({ shape, functions }) => (shape === undefined ? [] : functions))
  return together([
    {
      variables: [
        writer,
        { name: 'now', expression: 'dyn(object.spec)' },
        { name: 'isAboutUsers', expression: `object.metadata.name.matches("-${usersRequest}$")` },
        settingsOf(kind),
      ],
      validations: [],
    },
    ...made,
    {
      variables: [],
      validations: [
        {
          expression: `variables.writer in (variables.isAboutUsers ? ${cel(aboutUsers)} : ${cel(makers.changes)})`,
          message:
            aboutUsers.length === 0
              ? `metadata.name: only ${makers.changes.join(' and ')} make OpsRequests of a ${kind.kind}`
              : `metadata.name: ${makers.changes.join(' and ')} make the steps of an update, functions of bindings OpsRequests about users`,
        },
        {
          expression: `has(object.metadata.ownerReferences) && object.metadata.ownerReferences.size() == 1 && object.metadata.ownerReferences.all(owner, owner.kind == ${cel(kind.kind)} && owner.apiVersion == ${cel(kind.apiVersion)} && owner.name == object.spec.databaseRef.name && !has(owner.controller) && !has(owner.blockOwnerDeletion))`,
          message:
            'metadata.ownerReferences: an OpsRequest of the broker belongs to its database and to nothing else',
        },
        {
          expression: `object.metadata.name.startsWith(object.spec.databaseRef.name + "-") && object.metadata.name.substring(object.spec.databaseRef.name.size() + 1).matches("^([a-z2-7]{12}-[0-9]+|${usersRequest})$")`,
          message:
            'metadata.name: an OpsRequest is called after its database, and after the operation that it is a step of, or "users", and a number',
        },
      ],
    },
  ])
}
