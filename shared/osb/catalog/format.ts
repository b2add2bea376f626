import * as v from 'valibot'
import { JsonObject } from '../../values/json.ts'
import { parseQuantity } from '../../values/quantity.ts'
import { list } from '../parameters/schema.ts'
import { isPlaceholder, placeholders, placeholdersIn, withoutPlaceholders } from './url-template.ts'

/** The catalog file as its owner writes it, its shape being right. */
export type CatalogFile = v.InferOutput<ReturnType<typeof catalogFormat>>
export type ServiceEntry = CatalogFile['services'][number]
export type PlanEntry = ServiceEntry['plans'][number]
export type BoundsEntry = NonNullable<PlanEntry['parameters']>

/** @returns the shape of the catalog file, version 1 of its format */
export function catalogFormat() {
  return closed({
    v: v.literal(1, 'must be 1, the version of this format'),
    services: v.pipe(v.array(service()), v.minLength(1, 'must have at least one service')),
  })
}

/** @returns the shape of what a plan lets users set */
export function boundsFormat() {
  const amount = quantity()
  return closed({
    version: v.exactOptional(v.never('cannot stand here; list the versions under `versions` of the plan')),
    cpu: v.exactOptional(amounts(amount)),
    memory: v.exactOptional(amounts(amount)),
    storage: v.exactOptional(amounts(amount)),
    storageClass: v.exactOptional(closed({ enum: choices(v.string()) })),
    replicas: v.exactOptional(counts()),
    shards: v.exactOptional(counts()),
    tls: v.exactOptional(closed({ issuers: issuers() })),
    deletionPolicy: v.exactOptional(
      closed({
        enum: choices(v.picklist(['Halt', 'Delete', 'WipeOut'], 'must be one of Halt, Delete, WipeOut')),
      }),
    ),
    database: v.exactOptional(v.boolean()),
    configuration: v.exactOptional(v.boolean()),
    suspended: v.exactOptional(v.boolean()),
    metadata: v.exactOptional(v.boolean()),
    spec: v.exactOptional(v.boolean()),
  })
}

function service() {
  return closed({
    id: id(),
    name: name(),
    kind: v.string(),
    description: text(),
    tags: v.exactOptional(
      v.pipe(
        v.array(text()),
        v.check((tags) => tags.join('').length <= 2048, 'have more than 2048 characters together'),
      ),
    ),
    bindable: v.exactOptional(v.boolean(), true),
    instances_retrievable: v.exactOptional(v.boolean(), true),
    bindings_retrievable: v.exactOptional(v.boolean(), true),
    allow_context_updates: v.exactOptional(v.boolean(), true),
    plan_updateable: v.exactOptional(v.boolean(), true),
    metadata: v.exactOptional(serviceMetadata()),
    plans: v.pipe(v.array(plan()), v.minLength(1, 'must have at least one plan')),
  })
}

function plan() {
  return closed({
    id: id(),
    name: name(),
    description: text(),
    free: v.exactOptional(v.boolean(), true),
    bindable: v.exactOptional(v.boolean()),
    plan_updateable: v.exactOptional(v.boolean()),
    binding_rotatable: v.exactOptional(v.boolean(), false),
    bindingExpiry: v.exactOptional(bindingExpiry()),
    maximum_polling_duration: v.exactOptional(
      v.pipe(
        v.number(),
        v.integer('must be whole seconds'),
        v.minValue(60, 'must be at least 60 seconds'),
        v.maxValue(604_800, 'must be at most 604800 seconds, a week'),
      ),
    ),
    metadata: v.exactOptional(planMetadata()),
    version: version(),
    engineVersion: v.exactOptional(version()),
    versions: v.exactOptional(choices(version())),
    spec: v.exactOptional(JsonObject, {}),
    parameters: v.exactOptional(boundsFormat()),
    dashboardUrl: v.exactOptional(urlTemplate()),
  })
}

/** Of the address of a page about an instance, of the operator's own: a monitoring system's, say. */
function urlTemplate() {
  return v.pipe(
    v.string('must be a URL such as https://grafana.example.com/d/databases?var-name={name}'),
    v.maxLength(1024, ({ received }) => `has ${received} characters; at most 1024 are allowed`),
    v.check(
      (template) => placeholdersIn(template).every((name) => isPlaceholder(name)),
      `has a placeholder that is not known; what is: ${placeholders.map((name) => `{${name}}`).join(', ')}`,
    ),
    v.check(
      (template) =>
        /^https?:\/\/[^/?#{}@\\\s]+([/?#][^\s\\]*)?$/.test(template) &&
        URL.canParse(withoutPlaceholders(template)),
      'must be a URL of http or https with a host, without a user, and with placeholders only after the host',
    ),
  )
}

/** Platforms show these; what else is in metadata is between the catalog's owner and the platform. */
function serviceMetadata() {
  return v.pipe(
    v.looseObject({
      displayName: v.exactOptional(text()),
      longDescription: v.exactOptional(v.string()),
      providerDisplayName: v.exactOptional(text()),
      imageUrl: v.exactOptional(v.string()),
      documentationUrl: v.exactOptional(v.string()),
      supportUrl: v.exactOptional(v.string()),
      shareable: v.exactOptional(v.boolean()),
    }),
    JsonObject,
  )
}

function planMetadata() {
  return v.pipe(
    v.looseObject({
      displayName: v.exactOptional(text()),
      bullets: v.exactOptional(v.array(text())),
      costs: v.exactOptional(
        v.array(v.looseObject({ amount: v.record(v.string(), v.number()), unit: v.string() })),
      ),
    }),
    JsonObject,
  )
}

/** An object of exactly these members: a key misspelt is a mistake, not a setting without effect. */
function closed<const E extends v.ObjectEntries>(entries: E) {
  return v.objectWithRest(entries, v.never(`is not known here; what is: ${list(Object.keys(entries), 30)}`))
}

function id() {
  return v.pipe(
    text(),
    v.regex(/^[A-Za-z0-9._~-]*$/, 'must consist of letters, digits and . _ ~ -; a GUID is best'),
  )
}

function name() {
  return v.pipe(text(), v.regex(/^[A-Za-z0-9.-]*$/, 'must consist of letters, digits, dots and dashes'))
}

/** What platforms promise to show: OSB wants no more than 255 characters. */
function text() {
  return v.pipe(
    v.string(),
    v.nonEmpty('must not be empty'),
    v.maxLength(255, ({ received }) => `has ${received} characters; at most 255 are allowed`),
  )
}

function version() {
  return v.pipe(
    v.string(({ input }) =>
      typeof input === 'number'
        ? `must be in quotes, like "${input}", or YAML takes it for a number`
        : missing(input),
    ),
    v.nonEmpty('must not be empty'),
    v.maxLength(63, 'has more than 63 characters'),
  )
}

function missing(input: unknown): string {
  return input === undefined
    ? 'is missing; give the name of a version'
    : 'must be the name of a version, in quotes'
}

function count() {
  return v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1'))
}

function quantity() {
  return v.pipe(
    v.union([v.string(), v.number()], 'must be a quantity such as "500m" or 10Gi'),
    v.transform(String),
    v.check(
      (amount) => (parseQuantity(amount) ?? 0n) > 0n,
      'must be a quantity above 0, such as "500m" or 10Gi',
    ),
  )
}

function amounts(amount: ReturnType<typeof quantity>) {
  return v.pipe(
    closed({ min: amount, max: amount }),
    v.check(
      ({ min, max }) => !exceeds(parseQuantity(min), parseQuantity(max)),
      'min is more than max; turn them round',
    ),
  )
}

function exceeds(one: bigint | undefined, other: bigint | undefined): boolean {
  return one !== undefined && other !== undefined && one > other
}

const secondsOf: { readonly [unit: string]: number } = { s: 1, m: 60, h: 3600, d: 86_400 }

/** @returns seconds */
function duration() {
  return v.pipe(
    v.string('must be a time such as 90d, 36h, 30m or 45s'),
    v.regex(/^[1-9]\d{0,6}[smhd]$/, 'must be a time such as 90d, 36h, 30m or 45s'),
    v.transform((text) => Number(text.slice(0, -1)) * (secondsOf[text.slice(-1)] ?? 0)),
  )
}

function bindingExpiry() {
  return v.pipe(
    closed({ after: duration(), renewBefore: duration() }),
    v.check(
      ({ after, renewBefore }) => renewBefore < after,
      'renewBefore must be shorter than after: it is how long before their end credentials are to be rotated',
    ),
  )
}

function counts() {
  return v.pipe(
    closed({ min: count(), max: count() }),
    v.check(({ min, max }) => min <= max, 'min is more than max; turn them round'),
  )
}

/** Users choose an issuer by a name of the catalog's own, so that the cluster's names stay its owner's business. */
function issuers() {
  return v.pipe(
    v.record(
      v.pipe(
        v.string(),
        v.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a name such as internal-ca'),
      ),
      closed({
        kind: v.picklist(['Issuer', 'ClusterIssuer'], 'must be Issuer or ClusterIssuer'),
        name: v.pipe(
          v.string(),
          v.regex(
            /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/,
            'must be the name of a cert-manager resource, such as internal-ca',
          ),
        ),
      }),
    ),
    v.check((all) => Object.keys(all).length > 0, 'must name at least one'),
  )
}

function choices<const S extends v.GenericSchema<unknown, string>>(of: S) {
  return v.pipe(
    v.array(of),
    v.minLength(1, 'must name at least one'),
    v.check((all) => new Set(all).size === all.length, 'names one twice'),
  )
}
