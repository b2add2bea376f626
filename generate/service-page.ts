/** docs/services/<service>.md: what a service offers, from the catalog and from what the broker knows of the kind. */
import type { Database } from '../shared/kubedb/databases/database.ts'
import { compareVersions } from '../shared/kubedb/databases/parts/dimensions.ts'
import { planUpdate, type UpdatePlan } from '../shared/kubedb/instances/planner.ts'
import { targetOf } from '../shared/kubedb/instances/target.ts'
import type { Resolved } from '../shared/kubedb/records/instance-record.ts'
import type { ServiceEntry } from '../shared/osb/catalog/format.ts'
import { planOf } from '../shared/osb/catalog/plan.ts'
import { BrokerError } from '../shared/values/errors.ts'
import type { Bounds, Parameters, Plan, Setting } from '../shared/values/nouns.ts'
import { encryptedDifference, exampleCredentials, shown } from './example-credentials.ts'
import { table } from './table.ts'

/**
 * @param ended versions of the kind that KubeDB's catalog calls past the end of their life
 * @returns the page of one service
 */
export function servicePage(service: ServiceEntry, kind: Database, ended: readonly string[]): string {
  const plans = service.plans.map((plan) => planOf(service, plan))
  return [
    `# ${service.metadata?.displayName ?? service.name}`,
    '',
    `${service.description}. Service \`${service.name}\`, id \`${service.id}\`, KubeDB's kind \`${kind.kind}\`.`,
    '',
    'This page is generated from `knative/base/catalog.yaml` and the file of the kind in `shared/kubedb/databases/` by `npm run generate`. What the parameters mean is in [parameters](../parameters.md).',
    '',
    '## Plans',
    '',
    table(
      ['Plan', 'What it is', 'Version', 'Id'],
      service.plans.map((plan) => [
        `\`${plan.name}\``,
        plan.description,
        `\`${plan.version}\``,
        `\`${plan.id}\``,
      ]),
    ),
    '',
    '## Parameters',
    '',
    ...parameterTable(plans),
    ...endedVersions(plans, ended),
    ...settingsTable(kind),
    '## What can be changed, and how',
    '',
    ...changes(plans, kind),
    ...moves(plans, kind),
    '## Bindings',
    '',
    ...bindings(service, plans, kind),
  ].join('\n')
}

/** What a plan lets a user set, in words. */
const bounds: { [P in keyof Required<Bounds>]: (bound: NonNullable<Bounds[P]>) => string } = {
  version: ({ enum: versions }) => versions.map(code).join(', '),
  cpu: ({ min, max }) => `${code(min)} to ${code(max)}`,
  memory: ({ min, max }) => `${code(min)} to ${code(max)}`,
  storage: ({ min, max }) => `${code(min)} to ${code(max)}`,
  storageClass: ({ enum: classes }) => classes.map(code).join(', '),
  replicas: ({ min, max }) => `${min} to ${max}`,
  shards: ({ min, max }) => `${min} to ${max}`,
  tls: ({ issuers }) => Object.keys(issuers).map(code).join(', '),
  database: () => 'yes',
  configuration: () => 'yes',
  deletionPolicy: ({ enum: policies }) => policies.map(code).join(', '),
  suspended: () => 'yes',
  metadata: () => 'yes',
  spec: () => 'yes',
}

const code = (text: string) => `\`${text}\``

function bound<P extends keyof Bounds>(plan: Plan, name: P): string {
  const value = plan.parameters[name]
  return value === undefined ? '' : bounds[name](value)
}

const names = Object.keys(bounds).filter((name): name is keyof Bounds => name in bounds)

function endedVersions(plans: readonly Plan[], ended: readonly string[]): string[] {
  const offered = plans.flatMap(({ version, parameters }) => [version, ...(parameters.version?.enum ?? [])])
  const found = [...new Set(offered)].filter((version) => ended.includes(version))
  if (found.length === 0) return []
  return [
    `Past the end of life, as KubeDB's catalog has it: ${found.map(code).join(', ')}. Choose such a version only where an upgrade has to go by it.`,
    '',
  ]
}

function parameterTable(plans: readonly Plan[]): string[] {
  const used = names.filter((name) => plans.some((plan) => plan.parameters[name] !== undefined))
  return [
    'An empty cell: the plan does not let its users set it.',
    '',
    table(
      ['Parameter', ...plans.map(({ name }) => code(name))],
      used.map((name) => [code(name), ...plans.map((plan) => bound(plan, name))]),
    ),
    '',
  ]
}

function settingsTable({ settings }: Database): string[] {
  const rows = Object.entries(settings).map(([name, setting]) => [code(name), settingText(setting)])
  if (rows.length === 0) return []
  return ['`configuration` takes these settings of the engine:', '', table(['Setting', 'Value'], rows), '']
}

function settingText(setting: Setting): string {
  switch (setting.type) {
    case 'boolean':
      return '`true` or `false`'
    case 'string':
      return `text that matches ${code(setting.pattern)}`
    case 'integer':
    case 'number': {
      const what = setting.type === 'integer' ? 'whole number' : 'number'
      const { min, max } = setting
      if (min !== undefined && max !== undefined) return `${what} from ${min} to ${max}`
      if (min !== undefined) return `${what} from ${min}`
      return max === undefined ? what : `${what} up to ${max}`
    }
  }
}

/** A change of each parameter that the plan has, from one value that it allows to another. */
function sample(plan: Plan, kind: Database, name: keyof Bounds): [Parameters, Parameters] | undefined {
  const { parameters } = plan
  const range = (
    bound: { min: string | number; max: string | number } | undefined,
  ): [Parameters, Parameters] | undefined =>
    bound && bound.min !== bound.max ? [{ [name]: bound.min }, { [name]: bound.max }] : undefined
  switch (name) {
    case 'cpu':
    case 'memory':
    case 'storage':
    case 'replicas':
    case 'shards':
      return range(parameters[name])
    case 'version': {
      const [lower, higher] = [...(parameters.version?.enum ?? [])].sort(compareVersions)
      return lower !== undefined && higher !== undefined
        ? [{ version: lower }, { version: higher }]
        : undefined
    }
    case 'storageClass':
      return parameters.storageClass
        ? [{}, { storageClass: parameters.storageClass.enum[0] ?? '' }]
        : undefined
    case 'tls': {
      const [issuer] = Object.keys(parameters.tls?.issuers ?? {})
      return issuer === undefined ? undefined : [{}, { tls: issuer }]
    }
    case 'configuration': {
      const found = Object.entries(kind.settings).find(
        ([, { type }]) => type === 'integer' || type === 'boolean',
      )
      if (!parameters.configuration || !found) return undefined
      const [setting, { type }] = found
      const [one, other] = type === 'boolean' ? [false, true] : [smallest(found[1]), smallest(found[1]) + 1]
      return [{ configuration: { [setting]: one } }, { configuration: { [setting]: other } }]
    }
    case 'deletionPolicy': {
      const [one, other] = parameters.deletionPolicy?.enum ?? []
      return one && other ? [{ deletionPolicy: one }, { deletionPolicy: other }] : undefined
    }
    case 'suspended':
      return parameters.suspended ? [{ suspended: false }, { suspended: true }] : undefined
    case 'metadata':
      return parameters.metadata ? [{}, { metadata: { labels: { 'example.com/a': 'b' } } }] : undefined
    case 'database':
    case 'spec':
      return undefined
  }
}

const smallest = (setting: Setting): number => (setting.type === 'integer' ? (setting.min ?? 0) : 0)

/** @throws {BrokerError} where plan and parameters do not go together */
function asked(plan: Plan, kind: Database, checked: Parameters): Resolved {
  const { version = plan.version } = checked
  const wish = { plan, kind, sent: {}, checked, version, maintenance: plan.maintenanceVersion }
  return targetOf(wish, { addresses: 'cluster', instance: 'an-id' }).resolved
}

function planned(kind: Database, had: Resolved, wanted: Resolved): string {
  return inWords(planUpdate(kind, { had, wanted, unfinished: [], live: had.spec }))
}

function inWords(plan: UpdatePlan): string {
  switch (plan.kind) {
    case 'nothing':
      return 'nothing has to be done'
    case 'impossible':
      return `no: ${plan.reason}`
    case 'steps':
      return plan.steps
        .map(({ change }) => (change.by === 'opsRequest' ? code(change.type) : 'patch of the resource'))
        .join(', ')
  }
}

function changes(plans: readonly Plan[], kind: Database): string[] {
  const rows = names.flatMap((name): string[][] => {
    if (!plans.some((plan) => plan.parameters[name] !== undefined)) return []
    if (name === 'database') return [[code(name), 'no: it is chosen when the instance is made']]
    if (name === 'spec') return [[code(name), 'as the parameters that its paths stand for']]
    for (const plan of plans) {
      const found = sample(plan, kind, name)
      if (found)
        return [[code(name), planned(kind, asked(plan, kind, found[0]), asked(plan, kind, found[1]))]]
    }
    return []
  })
  return [
    "By a PATCH with `parameters`. `storage` only grows and `version` only goes up. An `OpsRequest` is KubeDB's procedure of that type; several changes in one request are made one after the other, the version last.",
    '',
    table(['Parameter', 'Change'], rows),
    '',
  ]
}

function moves(plans: readonly Plan[], kind: Database): string[] {
  // What a custom plan is made of says its user.
  const fixed = plans.filter(({ parameters }) => parameters.spec === undefined)
  const rows = fixed.flatMap((from) =>
    fixed.flatMap((to) => {
      const steps = to === from || !to.planUpdateable ? undefined : move(kind, from, to)
      return steps === undefined ? [] : [[code(from.name), code(to.name), steps]]
    }),
  )
  const refused = 'answered with 422 and the reason; make a new instance and copy the data.'
  if (rows.length === 0) return [`Moves from one plan to another are ${refused}`, '']
  return [
    'By a PATCH with `plan_id`, from a plan as it is without parameters to another; the version stays:',
    '',
    table(['From', 'To', 'Change'], rows),
    '',
    `All other moves are ${refused}`,
    '',
  ]
}

/** @returns how an instance gets from one plan to another, undefined where it cannot */
function move(kind: Database, from: Plan, to: Plan): string | undefined {
  const had = asked(from, kind, {})
  let wanted: Resolved
  try {
    wanted = asked(to, kind, { version: from.version })
  } catch (error) {
    if (error instanceof BrokerError) return undefined
    throw error
  }
  const plan = planUpdate(kind, { had, wanted, unfinished: [], live: had.spec })
  return plan.kind === 'impossible' ? undefined : inWords(plan)
}

const without = (names: readonly string[]): string =>
  names.length === 0 ? '' : `, and ${names.map(code).join(', ')} is left out`

function bindings(service: ServiceEntry, plans: readonly Plan[], kind: Database): string[] {
  if (!plans.some(({ bindable }) => bindable)) return ['Instances of this service cannot be bound.', '']
  const [plan] = plans
  if (!plan) return []
  const encrypted = encryptedDifference(kind, plan)
  return [
    `Roles that a binding may ask for: ${kind.roles.map(code).join(', ')}; the first one unless it asks. What they may, and how an application uses its credentials, is on [the page about bindings of this service](../bindings/${service.name}.md); what is the same for all is in [bindings](../bindings.md).`,
    '',
    `Credentials, of plan \`${plan.name}\`; with TLS the certificate authority is added as \`rootCert\`:`,
    '',
    '```',
    shown(exampleCredentials(kind, plan)),
    '```',
    '',
    ...(encrypted === undefined
      ? []
      : [
          `With TLS these are added, or are others${without(encrypted.without)}:`,
          '',
          '```',
          shown(encrypted.there),
          '```',
          '',
        ]),
    'Which library looks for which of them is on [the page about keys](../bindings/keys.md), and what an application does with it in [bindings](../bindings.md#libraries).',
    '',
  ]
}
