import type { Parameters, Plan, Setting, Traits } from '../../values/nouns.ts'
import { bytesPattern, cpuPattern } from '../../values/quantity.ts'
import { controlCharacters, draft04, type Schema } from './schema.ts'

/** `create`: what a new instance may be asked for; `update`: what may be changed, null taking back what was set */
export type Purpose = 'create' | 'update'

/** What the schemas of a plan are derived from. */
export type Offer = Pick<Plan, 'version' | 'parameters'>

/** The `schemas` of a plan in the catalog (OSB: Schemas Object). */
export interface Schemas {
  service_instance: { create: { parameters: Schema }; update: { parameters: Schema } }
  service_binding?: { create: { parameters: Schema } }
}

/** Parameters that say what a database is from its first day and that nothing can change later. */
const once: readonly (keyof Parameters)[] = ['database']

/**
 * The schemas that the catalog shows for a plan, JSON Schema draft-04: the only draft every platform reads.
 *
 * @param offer the plan's bounds and version
 * @param traits its KubeDB kind
 * @param bindable whether the plan has bindings at all
 */
export function schemasOf(offer: Offer, traits: Traits, bindable: boolean): Schemas {
  return {
    service_instance: {
      create: { parameters: instanceSchema(offer, traits, 'create') },
      update: { parameters: instanceSchema(offer, traits, 'update') },
    },
    ...(bindable ? { service_binding: { create: { parameters: bindingSchema(traits) } } } : {}),
  }
}

/**
 * @param purpose an update may not name what is fixed at creation, and may send null to take a parameter back
 * @returns what `parameters` may be in a provision or update of this plan; quantities only by their shape, their
 *   bounds being beyond JSON Schema
 */
export function instanceSchema(offer: Offer, traits: Traits, purpose: Purpose): Schema {
  const properties: { [name: string]: Schema } = {}
  for (const name of traits.parameters) {
    if (purpose === 'update' && once.includes(name)) continue
    const schema = parameterSchema(name, offer, traits, purpose)
    if (schema) properties[name] = purpose === 'update' ? nullable(schema) : schema
  }
  return { $schema: draft04, type: 'object', properties, additionalProperties: false }
}

/** @returns what `parameters` of a binding may be */
export function bindingSchema(traits: Traits): Schema {
  const [first] = traits.roles
  const role: Schema = {
    type: 'string',
    enum: traits.roles,
    ...(first === undefined ? {} : { default: first }),
    description: 'What the binding may do in the database.',
  }
  return {
    $schema: draft04,
    type: 'object',
    properties: first === undefined ? {} : { role },
    additionalProperties: false,
  }
}

function parameterSchema(
  name: keyof Parameters,
  { version, parameters }: Offer,
  traits: Traits,
  purpose: Purpose,
): Schema | undefined {
  switch (name) {
    case 'version':
      return (
        parameters.version && {
          type: 'string',
          enum: parameters.version.enum,
          ...(purpose === 'create' ? { default: version } : {}),
          description: 'Version of the engine. It can be raised later, never lowered.',
        }
      )
    case 'cpu':
      return (
        parameters.cpu &&
        quantity(
          cpuPattern,
          `Cores of each server, from ${range(parameters.cpu)}, such as "${parameters.cpu.min}".`,
        )
      )
    case 'memory':
      return (
        parameters.memory &&
        quantity(
          bytesPattern,
          `Memory of each server, from ${range(parameters.memory)}, such as "${parameters.memory.min}".`,
        )
      )
    case 'storage':
      return (
        parameters.storage &&
        quantity(
          bytesPattern,
          `Disk of each server, from ${range(parameters.storage)}, such as "${parameters.storage.min}". It can grow later, never shrink.`,
        )
      )
    case 'storageClass':
      return (
        parameters.storageClass && {
          type: 'string',
          enum: parameters.storageClass.enum,
          description: 'StorageClass of the disks. A change copies the data to new disks.',
        }
      )
    case 'replicas':
      return (
        parameters.replicas && {
          type: 'integer',
          minimum: parameters.replicas.min,
          maximum: parameters.replicas.max,
          description: `Servers of the database${parameters.shards ? ', of each shard' : ''}, from ${parameters.replicas.min} to ${parameters.replicas.max}.`,
        }
      )
    case 'shards':
      return (
        parameters.shards && {
          type: 'integer',
          minimum: parameters.shards.min,
          maximum: parameters.shards.max,
          description: `Shards that the data is spread over, from ${parameters.shards.min} to ${parameters.shards.max}.`,
        }
      )
    case 'tls':
      return (
        parameters.tls && {
          type: 'string',
          enum: Object.keys(parameters.tls.issuers),
          description: 'Encrypts connections, with certificates of the issuer of this name.',
        }
      )
    case 'database':
      return parameters.database && databaseSchema(traits)
    case 'configuration':
      return parameters.configuration && configurationSchema(traits, purpose)
    case 'deletionPolicy':
      return (
        parameters.deletionPolicy && {
          type: 'string',
          enum: parameters.deletionPolicy.enum,
          description:
            'What stays after the instance is deleted: Halt keeps disks and secrets, Delete secrets, WipeOut nothing.',
        }
      )
    case 'suspended':
      return (
        parameters.suspended && {
          type: 'boolean',
          description: 'true stops the servers and keeps the data; false starts them again.',
        }
      )
    case 'metadata':
      return parameters.metadata && metadataSchema(purpose)
    case 'spec':
      return (
        parameters.spec && {
          type: 'object',
          description: `Parts of the spec of KubeDB's ${traits.kind}, laid over the plan's. What may be set: ${traits.spec.join(', ')}.`,
        }
      )
  }
}

function quantity(pattern: string, description: string): Schema {
  return { type: 'string', pattern, description }
}

function range({ min, max }: { min: string; max: string }): string {
  return `${min} to ${max}`
}

function databaseSchema({ databaseName }: Traits): Schema | undefined {
  if (!databaseName) return undefined
  const { pattern, maxLength, reserved } = databaseName
  return {
    type: 'string',
    pattern,
    minLength: 1,
    maxLength,
    ...(reserved.length > 0 ? { not: { enum: reserved } } : {}),
    default: databaseName.default,
    description: "Name of the application's database. It cannot be changed later.",
  }
}

function configurationSchema({ settings }: Traits, purpose: Purpose): Schema {
  const properties = Object.entries(settings).map(([name, setting]) => {
    const schema = settingSchema(setting)
    return [name, purpose === 'update' ? nullable(schema) : schema] as const
  })
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    description: "Settings of the engine, by the engine's own names.",
  }
}

function settingSchema(setting: Setting): Schema {
  switch (setting.type) {
    case 'boolean':
      return { type: 'boolean' }
    case 'integer':
    case 'number':
      // An end that is not given is where JSON's numbers stop being exact.
      return {
        type: setting.type,
        minimum: setting.min ?? Number.MIN_SAFE_INTEGER,
        maximum: setting.max ?? Number.MAX_SAFE_INTEGER,
      }
    case 'string':
      return { type: 'string', pattern: setting.pattern }
  }
}

const labelName = '[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?'
const domain = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*'

function metadataSchema(purpose: Purpose): Schema {
  const named = (value: Schema, description: string): Schema => ({
    type: purpose === 'update' ? ['object', 'null'] : 'object',
    patternProperties: { [`^${domain}/${labelName}$`]: purpose === 'update' ? nullable(value) : value },
    additionalProperties: false,
    description,
  })
  return {
    type: 'object',
    properties: {
      labels: named(
        { type: 'string', pattern: `^(${labelName})?$` },
        'Labels of the database, named like example.com/team, under the prefixes that the broker allows.',
      ),
      annotations: named(
        { type: 'string', maxLength: 1024, not: { pattern: controlCharacters } },
        'Annotations of the database, named like example.com/team, under the prefixes that the broker allows.',
      ),
    },
    additionalProperties: false,
    description: 'Labels and annotations of the database.',
  }
}

/** An update takes a parameter back by sending null for it (RFC 7386). */
function nullable(schema: Schema): Schema {
  if (schema.type === undefined) return schema
  const types = typeof schema.type === 'string' ? [schema.type] : schema.type
  return {
    ...schema,
    type: [...types, 'null'],
    ...(schema.enum ? { enum: [...schema.enum, null] } : {}),
  }
}
