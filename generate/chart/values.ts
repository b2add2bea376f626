/** The values of the chart: each said once, for values.yaml and for values.schema.json. */
import { Document } from 'yaml'
import { environment, variables } from '../../shared/environment/config.ts'
import { routerEnvironment, routerVariables } from '../../shared/gateway/config.ts'
import { dashboardRoutes, routes } from '../../shared/routes.ts'
import { edgeRouterContainer } from '../edge-router.ts'
import { exampleHost, gateway } from '../knative.ts'
import { knativeNamespaces } from '../network-policies.ts'
import { defaultNamespaces } from '../rbac.ts'
import { containerConcurrency, image, maxScale, resources } from '../services.ts'
import { type JsonSchema, jsonSchemaOf } from './json-schema.ts'

/** What may be set at an installation. */
export interface Value {
  /** a sentence or two for people */
  meaning: string
  schema: JsonSchema
  /** left out of values.yaml, but for a comment, where there is none */
  default?: unknown
}

export type Values = { readonly [name: string]: Value | { meaning: string; members: Values } }

/** Kinds of gateways, as the folders of knative/overlays, and `plain`. */
export const gatewayKinds = ['gateway-api', 'istio', 'contour', 'edge-router', 'plain'] as const

/** Variables that the manifests set themselves, or for which there is a value of its own. */
const own = [
  'PORT',
  'BROKER_NAMESPACE',
  'NAMESPACE_POLICY',
  'DATABASE_NAMESPACE',
  'CATALOG_FILE',
  'USERS_FILE',
  'AUTHENTICATION',
  'TOKEN_AUDIENCE',
  'KEYS_DIRECTORY',
  'DASHBOARD_DIRECTORY',
  'KUBERNETES_SERVICE_HOST',
  'KUBERNETES_SERVICE_PORT',
  'SERVICE_ACCOUNT_DIRECTORY',
]

const label = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?'
const text = { type: 'string' } as const
const name = { type: 'string', pattern: `^${label}$` } as const
const optionalName = { type: 'string', pattern: `^(${label})?$` } as const
const hostName = { type: 'string', maxLength: 253, pattern: `^${label}(\\.${label})*$` } as const
const whole = (minimum: number) => ({ type: 'integer', minimum }) as const
const functions = [...routes, ...dashboardRoutes.slice(0, 1)].map((route) => route.function)

/** @returns a value for each variable that an installation may set */
function settings(): Values {
  const schemas = environment()
  return Object.fromEntries(
    variables()
      .filter((variable) => !own.includes(variable.name))
      .map(({ name, meaning }) => [name, { meaning, schema: schemaOf(schemas, name) }]),
  )
}

/** @returns the same for the edge router */
export function routerSettings(): Values {
  const schemas = routerEnvironment()
  return Object.fromEntries(
    routerVariables()
      // The router has the variables of the functions too.
      .filter((variable) => !own.includes(variable.name) && variable.name !== 'DASHBOARD_URL')
      .map(({ name, meaning }) => [name, { meaning, schema: schemaOf(schemas, name) }]),
  )
}

function schemaOf(schemas: ReturnType<typeof environment>, name: string): JsonSchema {
  const schema = schemas[name]
  if (schema === undefined) throw new Error(`there is no variable ${name}`)
  return { ...jsonSchemaOf(schema), ...(schema.default ? { default: typed(schema.default) } : {}) }
}

/** Texts of numbers and flags as the values have them. */
function typed(written: string): unknown {
  return /^(\d+|true|false)$/.test(written) ? JSON.parse(written) : written
}

const anyResources = {
  type: 'object',
  properties: {
    requests: { type: 'object', additionalProperties: { type: ['string', 'integer', 'number'] } },
    limits: { type: 'object', additionalProperties: { type: ['string', 'integer', 'number'] } },
  },
  additionalProperties: false,
}

/** @returns every value, in the order of values.yaml */
export function values(): Values {
  return {
    image: {
      meaning: 'The one image of the functions and the edge router; docs/installing.md builds it.',
      members: {
        repository: {
          meaning: 'Registry and name.',
          schema: { ...text, pattern: '^[a-z0-9][a-z0-9._:/-]*$' },
          default: image,
        },
        tag: {
          meaning: "Its tag; empty: the version of this chart's broker.",
          schema: { ...text, pattern: '^[A-Za-z0-9_]?[A-Za-z0-9._-]{0,127}$' },
          default: '',
        },
        digest: {
          meaning: 'In place of the tag: sha256:…',
          schema: { ...text, pattern: '^(sha256:[0-9a-f]{64})?$' },
          default: '',
        },
      },
    },
    imagePullSecrets: {
      meaning: 'Secrets for the registry, such as [{ name: registry }].',
      schema: {
        type: 'array',
        items: { type: 'object', properties: { name }, required: ['name'], additionalProperties: false },
      },
      default: [],
    },
    gateway: {
      meaning: 'The one public door.',
      members: {
        kind: {
          meaning:
            'gateway-api (HTTPRoute), istio (VirtualService), contour (HTTPProxy), edge-router (Kourier alone, GKE Gateway, AWS load balancers), or plain (no Knative: Deployments behind the edge router, nothing scales to zero).',
          schema: { enum: gatewayKinds },
          default: gatewayKinds[0],
        },
        host: { meaning: 'Public host name of the broker.', schema: hostName, default: exampleHost },
        name: {
          meaning: 'Your Gateway: of Gateway API, or of Istio.',
          schema: name,
          default: gateway.name,
        },
        namespace: { meaning: 'Its namespace.', schema: name, default: gateway.namespace },
        local: {
          meaning:
            "Service of Knative's own gateway for the inside of the cluster. Empty: kourier-internal in kourier-system for gateway-api, knative-local-gateway in istio-system for istio, envoy in contour-internal for contour.",
          members: {
            name: { meaning: 'Its name.', schema: optionalName, default: '' },
            namespace: { meaning: 'Its namespace.', schema: optionalName, default: '' },
          },
        },
      },
    },
    databases: {
      meaning: 'Where databases go.',
      members: {
        policy: {
          meaning:
            'fixed: all into one namespace; context: into the one that the platform names, if it is listed here.',
          schema: { enum: ['fixed', 'context'] },
          default: 'fixed',
        },
        namespaces: {
          meaning:
            'The one namespace, or with the policy context all that may be named. Each gets roles for the functions and a NetworkPolicy that lets them in.',
          schema: { type: 'array', items: name, uniqueItems: true },
          default: [defaultNamespaces.databases],
        },
        create: {
          meaning:
            'Whether the chart makes these namespaces. They stay, with the databases in them, when it is uninstalled.',
          schema: { type: 'boolean' },
          default: true,
        },
      },
    },
    authentication: {
      meaning: 'basic (user and password), bearer (a token of a ServiceAccount), or both.',
      schema: { enum: ['basic', 'bearer', 'both'] },
      default: 'basic',
    },
    tokenAudience: {
      meaning: 'Audience that a token must be for.',
      schema: { ...text, minLength: 1, maxLength: 253, pattern: '^[^"\\\\{}\\s]+$' },
      default: 'kubedb-service-broker',
    },
    users: {
      meaning:
        'Who may call with a password. Passwords are made at the installation and kept at every upgrade; they are in the Secret osb-users alone, which stays when the chart is uninstalled. Nobody is taken out of it by an upgrade: edit the Secret for that.',
      members: {
        existingSecret: {
          meaning:
            'Secret of yours with a file users.json in place of the one that is made. Set it where Helm only renders and cannot look into the cluster (Argo CD, helm template).',
          schema: optionalName,
          default: '',
        },
        generated: {
          meaning:
            'Users that are made if they are not there yet; an instance belongs to the platform of its maker.',
          schema: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                username: { ...text, pattern: '^[^:\\s]{1,255}$' },
                platform: { ...text, pattern: '^[A-Za-z0-9._-]{1,253}$' },
              },
              required: ['username'],
              additionalProperties: false,
            },
          },
          default: [{ username: 'platform' }],
        },
      },
    },
    keys: {
      meaning:
        'From these the passwords of bindings are derived. One is made at the installation, and kept at every upgrade and when the chart is uninstalled: keep a copy of the Secret osb-keys.',
      members: {
        existingSecret: {
          meaning: 'Secret of yours in place of it, as in docs/operating.md.',
          schema: optionalName,
          default: '',
        },
      },
    },
    catalog: {
      meaning:
        'Content of a catalog file in place of the one that is shipped: --set-file catalog=catalog.yaml. docs/parameters.md tells what is in it.',
      schema: text,
      default: '',
    },
    configuration: {
      meaning:
        'Environment variables of the functions, and what they are without. A change makes a new revision. Beside these: those of OpenTelemetry, such as OTEL_EXPORTER_OTLP_ENDPOINT; no secrets.',
      members: settings(),
    },
    scale: {
      meaning: 'How many copies of a function run.',
      members: {
        min: {
          meaning: 'By function, such as { catalog: 1, last-operation: 1 }; the others go to zero.',
          schema: {
            type: 'object',
            properties: Object.fromEntries(functions.map((each) => [each, whole(0)])),
            additionalProperties: false,
          },
          default: {},
        },
        max: { meaning: 'At most, of each.', schema: whole(1), default: maxScale },
        concurrency: {
          meaning: 'Requests that one copy works on at a time.',
          schema: { ...whole(1), maximum: 1000 },
          default: containerConcurrency,
        },
      },
    },
    resources: { meaning: 'Of each copy of a function.', schema: anyResources, default: resources },
    edgeRouter: {
      meaning: 'With the gateways edge-router and plain.',
      members: {
        min: { meaning: 'Copies that are always there (edge-router).', schema: whole(0), default: 1 },
        serviceType: {
          meaning: 'Of its Service (plain).',
          schema: { enum: ['NodePort', 'LoadBalancer', 'ClusterIP'] },
          default: 'NodePort',
        },
        resources: {
          meaning: 'Of each copy.',
          schema: anyResources,
          default: edgeRouterContainer('').resources,
        },
        configuration: {
          meaning: 'Its environment variables, and what they are without.',
          members: routerSettings(),
        },
      },
    },
    plain: {
      meaning: 'Without Knative.',
      members: {
        replicas: {
          meaning: 'Copies of each function and of the edge router.',
          schema: whole(0),
          default: 1,
        },
      },
    },
    networkPolicy: {
      meaning: 'Who reaches the functions beside each other: the activator and the gateways.',
      members: {
        from: {
          meaning: 'Their namespaces.',
          schema: { type: 'array', items: name, minItems: 1 },
          default: knativeNamespaces,
        },
      },
    },
    nameSuffix: {
      meaning:
        'Ends the names of what has no namespace, or one of the gateway: for a second broker in the cluster, such as .staging',
      schema: { ...text, pattern: '^(\\.[a-z0-9-]{1,40})?$' },
      default: '',
    },
  }
}

/** @returns values.yaml */
export function valuesYaml(): string {
  const head =
    '# The values of the chart, and their defaults. Generated by generate.ts from generate/chart/values.ts,\n# shared/environment/config.ts and shared/routes.ts: change those and run `npm run generate`.\n'
  return `${head}\n${yamlOf(values(), '')}`
}

function yamlOf(all: Values, indent: string): string {
  return Object.entries(all)
    .map(([key, one]) => {
      const comment = wrapped(one.meaning, `${indent}# `)
      if ('members' in one) {
        const inner = yamlOf(one.members, `${indent}  `)
        // All of it may be comments: they come first, so that lines can be taken over below the name.
        const empty = inner.split('\n').every((each) => /^\s*(#|$)/.test(each))
        return empty
          ? `${comment}${inner.replaceAll(/^ *# /gm, `${indent}#   `)}${indent}${key}: {}\n`
          : `${comment}${indent}${key}:\n${inner}`
      }
      const written = 'default' in one ? one.default : (one.schema.default ?? '')
      const line = new Document({ [key]: written }, { aliasDuplicateObjects: false })
        .toString({ lineWidth: 0 })
        .trimEnd()
        .split('\n')
        .map((each) => `${indent}${'default' in one ? '' : '# '}${each}\n`)
        .join('')
      return `${comment}${line}`
    })
    .join(indent === '' ? '\n' : '')
}

function wrapped(sentence: string, start: string): string {
  const lines: string[] = []
  for (const word of sentence.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && start.length + last.length + word.length < 110)
      lines.push(`${lines.pop()} ${word}`)
    else lines.push(word)
  }
  return lines.map((each) => `${start}${each}\n`).join('')
}

/** @returns values.schema.json */
export function valuesSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Values of the chart kubedb-service-broker',
    // Those of Helm itself, and of a chart that has this one as a part.
    ...schemaOfAll({
      ...values(),
      global: { meaning: 'Of the charts around this one.', schema: { type: 'object' } },
    }),
  }
  return `${JSON.stringify(schema, undefined, 2)}\n`
}

function schemaOfAll(all: Values): JsonSchema {
  const properties = Object.entries(all).map(([key, one]) => {
    const inner =
      'members' in one
        ? {
            ...schemaOfAll(one.members),
            // The variables of OpenTelemetry are its own matter.
            ...(key === 'configuration' && {
              patternProperties: { '^OTEL_[A-Z_]+$': { type: ['string', 'integer', 'number', 'boolean'] } },
            }),
          }
        : { ...one.schema, ...('default' in one && { default: one.default }) }
    return [key, { description: one.meaning, ...inner }]
  })
  // What has a default may be set to something else, but not be taken away with null.
  const required = Object.entries(all).flatMap(([key, one]) =>
    'members' in one || 'default' in one ? [key] : [],
  )
  return { type: 'object', properties: Object.fromEntries(properties), required, additionalProperties: false }
}
