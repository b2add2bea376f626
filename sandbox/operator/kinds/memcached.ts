import * as v from 'valibot'
import { Refusal } from '../admission.ts'
import {
  authSecretDefaults,
  commonDefaults,
  configurationOf,
  engineResources,
  podTemplateOf,
} from '../defaults.ts'
import type { AuthShape, Component, Context, Kind, OpsContext } from '../kind.ts'
import { authSecretName, governingServiceName, replicasOf } from '../offshoots.ts'
import { reconfigureTls, rotateAuth, updateVersion } from '../ops-complaints.ts'
import { type Database, resources, type Spec, Unscoped, type Version } from '../resources.ts'
import { mergeDirectives } from '../settings-text.ts'
import { commonOpsTypes, issuedTls, servicesOf } from '../shapes.ts'
import {
  containersOf,
  validateDeletionPolicy,
  validateExternalSecret,
  validateHealthChecker,
  validateMonitor,
  validateMountPaths,
  validateVolumes,
} from '../validation.ts'
import { WorkloadError } from '../workload-error.ts'

const MemcachedSpec = v.looseObject({ disableAuth: v.optional(v.boolean(), false) })
const isOpen = (spec: Spec) => v.parse(MemcachedSpec, spec).disableAuth

/** One entry, `authData`, with a line `user:password` each; the first is the administrator's. */
const auth: AuthShape = {
  user: () => 'user',
  fixed: false,
  persistent: false,
  secretType: 'Opaque',
  disabled: isOpen,
  read({ authData = '' }) {
    const [first, ...others] = linesOf(authData)
    const { username = '', password = '' } =
      /^(?<username>[^:]+):(?<password>.+)$/.exec(first ?? '')?.groups ?? {}
    if (username === '' || password === '')
      throw new WorkloadError(
        'auth secret must contain a non-empty "authData" key with lines "user:password"',
      )
    return { username, password, others }
  },
  write({ username, password, others }, { authData = '' } = {}) {
    const rest = others ?? linesOf(authData).slice(1)
    return { authData: [`${username}:${password}`, ...rest].map((line) => `${line}\n`).join('') }
  },
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

export const memcached: Kind = {
  kind: 'Memcached',
  plural: 'memcacheds',
  apiVersion: 'kubedb.com/v1',
  title: 'Memcached',
  port: 11211,
  auth,
  config: { takes: (file) => file === 'memcached.conf', merge: mergeDirectives },
  tls: {
    ...issuedTls,
    added: () => ({}),
    removed: () => ({}),
  },
  components,
  services: (db) => servicesOf(db, { port: 11211 }),
  // Nobody has defined a URL for it: no path, and a scheme that says little.
  client: () => ({ scheme: 'tcp' }),
  admission: {
    defaults,
    validate,
    fixed: [],
    storageClasses: () => [],
    deletionRefusal: (namespace, name) =>
      `memcached ${namespace}/${name} can't be terminated. To delete, change spec.deletionPolicy`,
  },
  ops: {
    types: [...commonOpsTypes, 'RotateAuth'],
    group: 'Memcachedopsrequests.kubedb.com',
    absent: (namespace, database) =>
      new Refusal(`spec.databaseRef ${namespace}/${database}, is invalid or not found`),
    complaint,
    vertical: () => ({ memcached: { path: [], container: 'memcached' } }),
    volumes: () => ({}),
    configured: () => ({ '': [] }),
    scaled: (_db, block) => v.parse(v.object({ replicas: v.exactOptional(v.number()) }), block),
  },
}

function components(db: Database): Component[] {
  return [
    {
      name: db.metadata.name,
      replicas: replicasOf(db.spec),
      path: [],
      governing: governingServiceName(db),
      containers: [{ name: 'memcached', ports: [{ name: 'db', containerPort: 11211 }] }],
    },
  ]
}

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  return {
    ...spec,
    ...commonDefaults(spec),
    replicas: spec.replicas ?? 1,
    ...(isOpen(spec) ? {} : { authSecret: authSecretDefaults(spec) }),
    ...configurationOf(spec),
    podTemplate: podTemplateOf(spec.podTemplate, db, version, {
      containers: [['memcached', engineResources]],
    }),
  }
}

const reservedVolumes = ['data', 'memcached-config']
const reservedPaths = ['/usr/data/', '/usr/config/']

async function validate(db: Database, { kube }: Context, old?: Database): Promise<void> {
  const { spec } = db
  if (old) validateReplicas(spec, old.spec)
  if ((spec.replicas ?? 0) < 1)
    throw new Refusal(`spec.replicas "${spec.replicas ?? 0}" invalid. Value must be greater than zero`)
  const { namespace } = db.metadata
  const isThere = async (name: string) =>
    (await kube.get(Unscoped, resources.secrets, { namespace, name })) !== undefined
  const config = spec.configSecret?.name
  if (config !== undefined && !(await isThere(config)))
    throw new Refusal(`no configSecret is found named ${config} in namespace ${namespace}`)
  validateExternalSecret(
    spec,
    'for externallyManaged auth secret, user must configure "spec.authSecret.name"',
  )
  if (spec.authSecret?.externallyManaged && !(await isThere(authSecretName(db))))
    throw new Refusal(`no authSecret is found named ${authSecretName(db)} in namespace ${namespace}`)
  validateVolumes(spec, reservedVolumes)
  validateMountPaths(spec, reservedPaths)
  if (!containersOf(spec).some(({ name }) => name === 'memcached'))
    throw new Refusal('memcached container memcached not found')
  validateDeletionPolicy(spec)
  validateMonitor(spec)
  validateHealthChecker(spec)
}

/** One node has no share of the keys to give away, so one never becomes several, nor the reverse, while it runs. */
function validateReplicas(spec: Spec, old: Spec): void {
  const [from, to] = [old.replicas ?? 0, spec.replicas ?? 0]
  if (!spec.halted && !old.halted && (from === 1 || to === 1) && from !== to)
    throw new Refusal(`can not update from ${from} replica to ${to} replica`)
}

function complaint(context: OpsContext): Promise<string | undefined> | string | undefined {
  const { spec } = context.request
  switch (spec.type) {
    case 'VerticalScaling':
      return spec.verticalScaling
        ? undefined
        : 'spec.verticalScaling nil not supported in VerticalScaling type'
    case 'HorizontalScaling':
      return spec.horizontalScaling
        ? undefined
        : '`spec.horizontalScaling` nil not supported in HorizontalScaling type'
    case 'Reconfigure':
      return spec.configuration ? undefined : 'spec.configuration nil not supported in Reconfigure type'
    case 'UpdateVersion':
      return updateVersion(context)
    case 'ReconfigureTLS':
      return reconfigureTls(context)
    case 'RotateAuth':
      return rotateAuth(context)
    default:
      return undefined
  }
}
