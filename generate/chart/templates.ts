/** The manifests of knative/ as templates of the chart: the same objects, with expressions where values decide. */
import { dashboardRoutes, edgeRouter } from '../../shared/routes.ts'
import { isObject } from '../../shared/values/json.ts'
import type { WrittenKind } from '../admission/written.ts'
import { admissionPolicies } from '../admission-policy.ts'
import { catalogMount, catalogVolume, dashboardFunction, dashboardRules } from '../dashboard.ts'
import { edgeRouterManifests } from '../edge-router.ts'
import { type Entrance, httpProxy, httpRoute, virtualService } from '../gateways.ts'
import { localGateways } from '../knative.ts'
import type { Files, Manifest } from '../manifest.ts'
import { networkPolicies } from '../network-policies.ts'
import { functionWorkloads, plainManifests } from '../plain.ts'
import { namespace } from '../rbac.ts'
import { platformRole, reviewRoles } from '../reviews.ts'
import {
  brokerRoles,
  databaseRoles,
  type KindResources,
  nameOf,
  serviceAccounts,
  versionRoles,
} from '../roles.ts'
import { knativeServices, mounted } from '../services.ts'
import { refusals } from './refusals.ts'
import { type Block, template, text, value, when } from './template.ts'
import { routerSettings } from './values.ts'

/** The namespace of databases is the one of a range over all of them. */
const namespaces = { broker: text('$.Release.Namespace'), databases: text('$namespace') }
const { broker } = namespaces
const eachNamespace = '$namespace := $.Values.databases.namespaces'
const suffixed = (name: string) => `${name}${text('$.Values.nameSuffix')}`

const bearer = 'ne $.Values.authentication `basic`'
const basicOnly = 'eq $.Values.authentication `basic`'
const isKind = (kind: string) => `eq $.Values.gateway.kind \`${kind}\``
/** Whoever says where the dashboard is reached has it. */
const dashboard = '$.Values.configuration.DASHBOARD_URL'
const onKnative = 'ne $.Values.gateway.kind `plain`'

/** @returns the generated files of knative/chart/templates by name, in the order in which they are applied */
export function chartTemplates(kinds: readonly KindResources[], lists: readonly WrittenKind[]): Files {
  const [ofDatabases, ofFunctions] = networkPolicies(namespaces)
  return {
    '000-refusals.yaml': template('What no schema can say.', [{ text: refusals() }]),
    '100-namespaces.yaml': template('The namespaces of databases. They outlive the chart.', [
      {
        objects: [kept(namespace(namespaces.databases))],
        when: '$.Values.databases.create',
        each: eachNamespace,
      },
    ]),
    '200-service-accounts.yaml': template('One ServiceAccount for each function.', [
      { objects: serviceAccounts(namespaces).map(withToken) },
      { objects: serviceAccounts(namespaces, dashboardFunction), when: dashboard },
    ]),
    '210-broker-roles.yaml': template("What each function may do with the broker's records.", [
      { objects: brokerRoles(namespaces) },
      { objects: brokerRoles(namespaces, dashboardFunction), when: dashboard },
    ]),
    '220-database-roles.yaml': template('What each function may do where databases are.', [
      { objects: databaseRoles(namespaces, kinds), each: eachNamespace },
      {
        objects: databaseRoles(namespaces, kinds, dashboardFunction),
        when: dashboard,
        each: eachNamespace,
      },
    ]),
    '225-version-roles.yaml': template("Who may read KubeDB's versions, which have no namespace.", [
      { objects: versionRoles(namespaces, kinds, (route) => suffixed(nameOf(route))) },
    ]),
    '230-admission-policy.yaml': template(
      'What roles cannot say: which objects the functions may write, and what may be in them.',
      [{ objects: admissionPolicies(namespaces, lists, suffixed('')) }],
    ),
    '235-reviews.yaml': template(
      'Functions ask the API server about bearer tokens; osb-platform is for their owners.',
      [
        {
          objects: [
            ...reviewRoles(namespaces, suffixed('osb-reviews')),
            platformRole(suffixed('osb-platform')),
          ],
          when: bearer,
        },
      ],
    ),
    '300-functions.yaml': template('The ten functions, and the dashboard where it is switched on.', [
      { objects: knativeServices(namespaces).map(withValues), when: onKnative },
      { objects: plainManifests(namespaces).map(withValues), when: isKind('plain') },
      {
        objects: knativeServices(namespaces, dashboardFunction).map(withValues),
        when: `and ${dashboard} (${onKnative})`,
      },
      {
        objects: functionWorkloads(namespaces, dashboardFunction).map(withValues),
        when: `and ${dashboard} (${isKind('plain')})`,
      },
    ]),
    '310-network-policies.yaml': template('Who may talk to whom.', [
      { objects: present(ofDatabases), each: eachNamespace },
      { objects: present(ofFunctions).map(withSources) },
    ]),
    '400-route.yaml': template('The one public door.', routeBlocks()),
  }
}

function routeBlocks(): Block[] {
  const entrance = (
    kind: keyof typeof localGateways,
    { rule }: (typeof dashboardRules)[keyof typeof dashboardRules],
  ): Entrance => {
    const local = {
      name: text(`$.Values.gateway.local.name | default \`${localGateways[kind].name}\``),
      namespace: text(`$.Values.gateway.local.namespace | default \`${localGateways[kind].namespace}\``),
    }
    return {
      host: text('$.Values.gateway.host'),
      gateway: { name: text('$.Values.gateway.name'), namespace: text('$.Values.gateway.namespace') },
      local,
      name: suffixed('osb'),
      more: dashboardRoutes.map((route) => when(dashboard, rule(broker, local, route))),
    }
  }
  return [
    {
      objects: httpRoute(broker, entrance('gateway-api', dashboardRules.HTTPRoute)),
      when: isKind('gateway-api'),
    },
    {
      objects: virtualService(broker, entrance('istio', dashboardRules.VirtualService)),
      when: isKind('istio'),
    },
    { objects: httpProxy(broker, entrance('contour', dashboardRules.HTTPProxy)), when: isKind('contour') },
    {
      objects: edgeRouterManifests(broker, text('$.Values.gateway.host')).map(withValues),
      when: isKind('edge-router'),
    },
  ]
}

function present<T>(one: T | undefined): T[] {
  if (one === undefined) throw new Error('there are two network policies')
  return [one]
}

/** Helm leaves it where it is. */
function kept(object: Manifest): object {
  return { ...object, metadata: { ...object.metadata, annotations: { 'helm.sh/resource-policy': 'keep' } } }
}

/** A function that may do nothing has no token, unless it has to ask about those of callers. */
function withToken(account: object): object {
  return edited(account, (key, old) => (key === 'automountServiceAccountToken' ? when(basicOnly, old) : old))
}

function withSources(policy: object): object {
  return edited(policy, (key, old) => (key === 'from' ? value('include `osb.sources` $') : old))
}

/** What runs: a Knative Service, or a Deployment and its Service. What else there is stays as it is. */
function withValues(object: Manifest): object {
  const router = object.metadata.name === `osb-${edgeRouter}`
  return edited(object, router ? editOfRouter : editOfFunction(object.metadata.name.replace(/^osb-/, '')))
}

function editOfFunction(name: string): Edit {
  return function edit(key, old) {
    switch (key) {
      case 'autoscaling.knative.dev/max-scale':
        return text('$.Values.scale.max')
      case 'containerConcurrency':
        return value('$.Values.scale.concurrency')
      case 'automountServiceAccountToken':
        return when(basicOnly, old)
      case 'secretName':
        if (old === mounted.users.volume.secret.secretName)
          return text(`$.Values.users.existingSecret | default \`${old}\``)
        return old === mounted.keys.volume.secret.secretName
          ? text(`$.Values.keys.existingSecret | default \`${old}\``)
          : old
      case 'volumes':
        return name === 'catalog' && Array.isArray(old) ? [...old, when(dashboard, catalogVolume)] : old
      case 'volumeMounts':
        return name === 'catalog' && Array.isArray(old) ? [...old, when(dashboard, catalogMount)] : old
      case 'resources':
        return value('toJson $.Values.resources')
      case 'env':
        return [...(Array.isArray(old) ? old.map(variable) : []), ...tokenVariables]
      case 'template':
        return isObject(old) ? { ...old, metadata: annotated(old.metadata, name) } : old
      default:
        return editOfAny(key, old)
    }
  }
}

const editOfRouter: Edit = (key, old) => {
  switch (key) {
    case 'autoscaling.knative.dev/min-scale':
      return text('$.Values.edgeRouter.min')
    case 'type':
      return old === 'NodePort' ? text('$.Values.edgeRouter.serviceType') : old
    case 'resources':
      return value('toJson $.Values.edgeRouter.resources')
    case 'env':
      return [...(Array.isArray(old) ? old : []), ...routerVariables]
    case 'template':
      return isObject(old) ? { ...old, metadata: withDigest(old.metadata) } : old
    default:
      return editOfAny(key, old)
  }
}

function editOfAny(key: string, old: unknown): unknown {
  if (key === 'image') return text('include `osb.image` $')
  if (key === 'replicas') return value('$.Values.plain.replicas')
  if (key === 'spec' && isObject(old) && 'containers' in old)
    return {
      ...old,
      imagePullSecrets: when('$.Values.imagePullSecrets', value('toJson $.Values.imagePullSecrets')),
    }
  return old
}

/** Where databases go is one namespace, or what the platform says. */
function variable(old: unknown): unknown {
  if (!isObject(old) || old.name !== 'DATABASE_NAMESPACE') return old
  return when('eq $.Values.databases.policy `fixed`', {
    ...old,
    value: text('first $.Values.databases.namespaces'),
  })
}

const tokenVariables = [
  when('eq $.Values.databases.policy `context`', { name: 'NAMESPACE_POLICY', value: 'context' }),
  when(bearer, { name: 'AUTHENTICATION', value: text('$.Values.authentication') }),
  when(bearer, { name: 'TOKEN_AUDIENCE', value: text('$.Values.tokenAudience') }),
]

const routerVariables = Object.keys(routerSettings()).map((name) =>
  when(`hasKey $.Values.edgeRouter.configuration \`${name}\``, {
    name,
    value: text(`$.Values.edgeRouter.configuration.${name}`),
  }),
)

/** How many run at least, and what changes when the configuration does. */
function annotated(metadata: unknown, name: string): unknown {
  if (!isObject(metadata) || !isObject(metadata.annotations)) return withDigest(metadata)
  const annotations = {
    ...metadata.annotations,
    'autoscaling.knative.dev/min-scale': when(
      `hasKey $.Values.scale.min \`${name}\``,
      text(`index $.Values.scale.min \`${name}\``),
    ),
  }
  return withDigest({ ...metadata, annotations })
}

/** What changes when the configuration does: pods read it at their start only. */
function withDigest(metadata: unknown): unknown {
  if (!isObject(metadata)) return metadata
  const digest = text('toJson $.Values.configuration | sha256sum | trunc 16')
  const key = 'osb.kubedb.com/configuration'
  return {
    ...metadata,
    annotations: isObject(metadata.annotations)
      ? { ...metadata.annotations, [key]: when('$.Values.configuration', digest) }
      : when('$.Values.configuration', { [key]: digest }),
  }
}

/** What comes in place of a member of an object, whose own members have been seen already. */
type Edit = (key: string, old: unknown) => unknown

function edited(object: object, edit: Edit): object {
  return Object.fromEntries(Object.entries(object).map(([key, old]) => [key, edit(key, inner(old, edit))]))
}

function inner(old: unknown, edit: Edit): unknown {
  if (Array.isArray(old)) return old.map((each) => inner(each, edit))
  return typeof old === 'object' && old !== null ? edited(old, edit) : old
}
