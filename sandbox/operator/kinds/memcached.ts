import * as v from 'valibot'
import { Refusal } from '../cluster/admission.ts'
import { type Database, resources, type Spec, Unscoped } from '../cluster/resources.ts'
import * as complaints from './parts/complaints.ts'
import { engineResources } from './parts/defaults.ts'
import { kindOf } from './parts/description.ts'
import type { AuthShape } from './parts/kind.ts'
import { authSecretName } from './parts/offshoots.ts'
import * as rules from './parts/rules.ts'
import { mergeDirectives } from './parts/settings-text.ts'
import { commonOpsTypes, container, issuedTls, members, servicesOf } from './parts/shapes.ts'
import { WorkloadError } from './parts/workload-error.ts'

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

export const memcached = kindOf({
  kind: 'Memcached',
  plural: 'memcacheds',
  port: 11211,
  auth,
  config: { takes: (file) => file === 'memcached.conf', merge: mergeDirectives },
  tls: issuedTls,
  components: (db) => [members(db, { containers: [container('memcached', { db: 11211 })] })],
  services: (db) => servicesOf(db, { port: 11211 }),
  // Nobody has defined a URL for it: no path, and a scheme that says little.
  client: () => ({ scheme: 'tcp' }),
  defaults: { diskless: true, autoOps: false, pods: () => ({ containers: { memcached: engineResources } }) },
  rules: [
    validateNumber,
    rules.replicas,
    secretIsThere('configSecret', ({ spec }) => spec.configSecret?.name),
    rules.externalSecret(),
    secretIsThere('authSecret', (db) =>
      db.spec.authSecret?.externallyManaged ? authSecretName(db) : undefined,
    ),
    rules.volumes(['data', 'memcached-config']),
    rules.mountPaths(['/usr/data/', '/usr/config/']),
    ({ spec }) => {
      if (!rules.containersOf(spec).some(({ name }) => name === 'memcached'))
        throw new Refusal('memcached container memcached not found')
    },
    rules.deletionPolicy(),
    rules.monitor,
    rules.healthChecker,
  ],
  fixed: [],
  deletionRefusal: (namespace, name) =>
    `memcached ${namespace}/${name} can't be terminated. To delete, change spec.deletionPolicy`,
  ops: {
    types: [...commonOpsTypes, 'RotateAuth'],
    absent: (namespace, database) =>
      new Refusal(`spec.databaseRef ${namespace}/${database}, is invalid or not found`),
    complaints: {
      VerticalScaling: complaints.needs(complaints.bare),
      HorizontalScaling: complaints.needs(complaints.quoted),
      Reconfigure: complaints.needs(complaints.bare),
      UpdateVersion: complaints.needs(complaints.quoted, complaints.upgrade),
      ReconfigureTLS: complaints.reconfigureTls,
      RotateAuth: complaints.rotateAuth,
    },
    sections: () => ({ memcached: [] }),
    container: 'memcached',
    diskless: ['memcached'],
    scaled: (_db, block) => v.parse(v.object({ replicas: v.exactOptional(v.number()) }), block),
  },
})

/** One node has no share of the keys to give away, so one never becomes several, nor the reverse, while it runs. */
function validateNumber({ spec, old }: rules.Judged): void {
  if (!old || spec.halted || old.spec.halted) return
  const [from, to] = [old.spec.replicas ?? 0, spec.replicas ?? 0]
  if ((from === 1 || to === 1) && from !== to)
    throw new Refusal(`can not update from ${from} replica to ${to} replica`)
}

function secretIsThere(title: string, nameIn: (db: Database) => string | undefined): rules.Rule {
  return async ({ db, kube }) => {
    const name = nameIn(db)
    const { namespace } = db.metadata
    if (name !== undefined && !(await kube.get(Unscoped, resources.secrets, { namespace, name })))
      throw new Refusal(`no ${title} is found named ${name} in namespace ${namespace}`)
  }
}
