import { inspect } from 'node:util'
import test from 'ava'
import { postgres } from '../../shared/kubedb/databases/postgres.ts'
import {
  checkBindingParameters,
  checkParameters,
  type PlanOffer,
} from '../../shared/osb/parameters/parameters.ts'
import type { Purpose } from '../../shared/osb/parameters/schemas.ts'
import { BrokerError } from '../../shared/values/errors.ts'
import type { Bounds, Traits } from '../../shared/values/nouns.ts'
import { generousPlan, postgresTraits } from './postgres-traits.ts'

const prefixes = ['example.com', 'corp.io/team-']

function check(parameters: unknown, purpose: Purpose = 'create', plan: PlanOffer = generousPlan) {
  return checkParameters(plan, postgresTraits, parameters, purpose, prefixes)
}

/** @returns the message that refuses them */
function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof BrokerError && error.problem === 'BadRequest') return error.message
    throw error
  }
  return 'accepted'
}

for (const none of [undefined, null, {}]) {
  test(`${JSON.stringify(none)} are no parameters`, (t) => {
    t.deepEqual(check(none), {})
    t.deepEqual(checkBindingParameters(postgresTraits, none), { role: 'owner' })
  })
}

test('everything that a generous plan offers can be set', (t) => {
  const all = {
    version: '17.9',
    cpu: '1.5',
    memory: '2Gi',
    storage: '20Gi',
    storageClass: 'fast',
    replicas: 3,
    database: 'orders',
    configuration: { max_connections: 200, work_mem: '16MB', random_page_cost: 1.1, jit: false },
    deletionPolicy: 'Halt',
    suspended: false,
    metadata: {
      labels: { 'example.com/team': 'orders', 'corp.io/team-name': '' },
      annotations: { 'example.com/contact': 'orders@example.com, daytime' },
    },
    spec: { streamingMode: 'Synchronous', healthChecker: { periodSeconds: 20, disableWriteCheck: true } },
  }
  t.deepEqual<unknown, unknown>(check(all), all)
})

const refusals: [parameters: unknown, message: string | RegExp][] = [
  ['all', 'parameters: must be an object'],
  [[], 'parameters: must be an object'],
  [{ storage: '500Gi' }, "parameters.storage: 500Gi is more than this plan's largest, 100Gi"],
  [{ storage: '1Gi' }, "parameters.storage: 1Gi is less than this plan's smallest, 10Gi"],
  [{ storage: 20 }, /^parameters\.storage: must be a string, not a number\. .*10Gi to 100Gi/],
  [{ storage: '20GB' }, /^parameters\.storage: "20GB" does not fit .*10Gi to 100Gi/],
  [{ storage: '1e12' }, /^parameters\.storage: "1e12" does not fit/],
  [{ storage: null }, /^parameters\.storage: must be a string, not null/],
  [{ cpu: '0' }, 'parameters.cpu: 0 is nothing; it must be more than 0'],
  [{ cpu: '4001m' }, "parameters.cpu: 4001m is more than this plan's largest, 4"],
  [{ cpu: '-1' }, /^parameters\.cpu: "-1" does not fit/],
  [{ memory: '8.001Gi' }, 'parameters.memory: 8.001Gi is not a whole number of bytes'],
  [{ memory: '8.5Gi' }, "parameters.memory: 8.5Gi is more than this plan's largest, 8Gi"],
  [{ replicas: 6 }, 'parameters.replicas: 6 is more than the largest allowed, 5'],
  [{ replicas: 0 }, 'parameters.replicas: 0 is less than the smallest allowed, 1'],
  [{ replicas: 1.5 }, /^parameters\.replicas: must be a whole number, not a number/],
  [{ replicas: '3' }, /^parameters\.replicas: must be a whole number, not a string/],
  [{ version: '9.6' }, 'parameters.version: "9.6" is not offered; choose "18.3", "17.9"'],
  [{ version: 18.3 }, /^parameters\.version: must be a string, not a number/],
  [{ storageClass: 'gold' }, 'parameters.storageClass: "gold" is not offered; choose "fast", "standard"'],
  [{ deletionPolicy: 'DoNotTerminate' }, /^parameters\.deletionPolicy: "DoNotTerminate" is not offered/],
  [{ database: 'postgres' }, 'parameters.database: "postgres" is reserved; choose another'],
  [{ database: '' }, 'parameters.database: must not be empty'],
  [{ database: 'x'.repeat(64) }, 'parameters.database: has 64 characters; at most 63 are allowed'],
  [{ database: 'a"b' }, /^parameters\.database: "a\\"b" does not fit/],
  [{ database: 'app\n' }, /^parameters\.database: "app\\n" does not fit/],
  [{ suspended: 'yes' }, /^parameters\.suspended: must be true or false, not a string/],
  [{ Storage: '20Gi' }, /^parameters\.Storage: this plan does not take it; it takes version, cpu/],
  [JSON.parse('{"__proto__": {"storage": "1Ti"}}'), /^parameters\.__proto__: this plan does not take it/],
  [{ constructor: 1 }, /^parameters\.constructor: this plan does not take it/],
  [{ 'a b\n': 1 }, /^parameters\["a b\\n"\]: this plan does not take it/],
  [{ configuration: 'fast' }, /^parameters\.configuration: must be an object, not a string/],
  [
    { configuration: { archive_command: 'rm -rf /' } },
    /^parameters\.configuration\.archive_command: cannot be set/,
  ],
  [
    { configuration: { shared_preload_libraries: 'x' } },
    /^parameters\.configuration\.shared_preload_libraries: cannot/,
  ],
  [{ configuration: { toString: 'x' } }, /^parameters\.configuration\.toString: cannot be set here/],
  [{ configuration: { max_connections: 1e6 } }, /1000000 is more than the largest allowed, 5000/],
  [{ configuration: { max_connections: '200' } }, /must be a whole number, not a string/],
  [
    { configuration: { work_mem: "1MB'\nssl = off" } },
    /^parameters\.configuration\.work_mem: .*does not fit/,
  ],
  [{ configuration: { search_path: 'a\nssl = off' } }, /search_path: must not contain line breaks/],
  [{ configuration: { search_path: 'a\u2028b' } }, /search_path: must not contain line breaks/],
  [{ configuration: { random_page_cost: Number.POSITIVE_INFINITY } }, /more than the largest allowed/],
  [{ configuration: { random_page_cost: null } }, /must be a number, not null/],
  [{ metadata: { labels: { app: 'web' } } }, /^parameters\.metadata\.labels\.app: the name does not fit/],
  [
    { metadata: { labels: { 'example.org/app': 'web' } } },
    'parameters.metadata.labels["example.org/app"]: must begin with example.com/, corp.io/team-',
  ],
  [
    { metadata: { labels: { 'example.com.evil.io/app': 'web' } } },
    /must begin with example\.com\/, corp\.io\/team-/,
  ],
  [{ metadata: { labels: { 'corp.io/app': 'web' } } }, /must begin with example\.com\/, corp\.io\/team-/],
  [{ metadata: { labels: { 'example.com/team': 'a b' } } }, /"a b" does not fit/],
  [{ metadata: { labels: { 'example.com/team': 'x'.repeat(64) } } }, /does not fit/],
  [{ metadata: { labels: { 'example.com/': 'x' } } }, /the name does not fit/],
  [{ metadata: { labels: { 'example.com/a/b': 'x' } } }, /the name does not fit/],
  [{ metadata: { annotations: { 'example.com/note': 'one\ntwo' } } }, /must not contain line breaks/],
  [{ metadata: { annotations: { 'osb.kubedb.com/instance': '{}' } } }, /"osb\.kubedb\.com" is not for users/],
  [
    { metadata: { name: 'mine' } },
    'parameters.metadata.name: cannot be set here; what can is labels, annotations',
  ],
  [{ spec: { replicas: 9 } }, "parameters.spec.replicas: 9 is more than this plan's largest, 5"],
  [{ spec: { version: '9.6' } }, 'parameters.spec.version: "9.6" is not offered; choose "18.3", "17.9"'],
  [{ version: '18.3', spec: { version: '17.9' } }, /differs from parameters\.version; send one of them/],
  [
    { storage: '20Gi', spec: { storage: { resources: { requests: { storage: '20Gi' } } } } },
    /send one of them/,
  ],
]

for (const [parameters, message] of refusals) {
  test(`refused: ${inspect(parameters, { depth: 9 })}`, (t) => {
    const said = refusal(() => check(parameters))
    if (typeof message === 'string') t.is(said, message)
    else t.regex(said, message)
    t.notRegex(said, /[\n\r]/)
  })
}

test('one message names every mistake', (t) => {
  t.is(
    refusal(() => check({ storage: '500Gi', replicas: 9, spec: { hostNetwork: true, init: {} } })),
    [
      "parameters.storage: 500Gi is more than this plan's largest, 100Gi",
      'parameters.replicas: 9 is more than the largest allowed, 5',
      'parameters.spec.hostNetwork: this plan does not allow it',
      'parameters.spec.init: this plan does not allow it',
    ].join('; '),
  )
})

test('a message stays short, however many mistakes there are', (t) => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`x${index}`, 1]))
  const said = refusal(() => check(many))
  t.true(said.length < 3000)
  t.regex(said, /; and 490 more$/)
})

test('more than 16 KiB of parameters are refused before they are looked at', (t) => {
  const big = (length: number) => ({ database: 'x'.repeat(length - '{"database":""}'.length) })
  t.is(
    refusal(() => check(big(16 * 1024 + 1))),
    'parameters: has 16385 bytes as JSON; at most 16384 are taken',
  )
  t.regex(
    refusal(() => check(big(16 * 1024))),
    /^parameters\.database/,
  )
  t.regex(
    refusal(() => check({ database: 'ä'.repeat(9000) })),
    /^parameters: has 18015 bytes/,
  )
})

test('a plan without parameters takes none and says so', (t) => {
  const plan = { ...generousPlan, parameters: {} }
  t.deepEqual(check({}, 'create', plan), {})
  t.is(
    refusal(() => check({ storage: '20Gi', spec: {} }, 'create', plan)),
    'parameters.storage: this plan takes no parameters; parameters.spec: this plan takes no parameters',
  )
})

test('labels need a prefix that the broker was given', (t) => {
  const labels = { metadata: { labels: { 'example.com/team': 'x' } } }
  t.regex(
    refusal(() => checkParameters(generousPlan, postgresTraits, labels, 'create', [])),
    /this broker takes no labels and annotations from users$/,
  )
})

test('no configuration opens the names that Kubernetes, KubeDB and the broker steer by', (t) => {
  for (const domain of ['kubernetes.io', 'app.kubernetes.io', 'k8s.io', 'kubedb.com', 'osb.kubedb.com']) {
    const labels = { metadata: { labels: { [`${domain}/x`]: 'y' } } }
    t.regex(
      refusal(() => checkParameters(generousPlan, postgresTraits, labels, 'create', [domain, `${domain}/x`])),
      /is not for users$/,
    )
  }
})

test('an update takes parameters back with null, and the answer is without them', (t) => {
  const sent = {
    storage: null,
    replicas: 3,
    configuration: { work_mem: null, jit: true },
    metadata: { labels: { 'example.com/team': null } },
    spec: { streamingMode: null, replicas: null },
  }
  t.deepEqual<unknown, unknown>(check(sent, 'update'), {
    replicas: 3,
    configuration: { jit: true },
    metadata: { labels: {} },
    spec: {},
  })
  t.not(
    refusal(() => check(sent, 'create')),
    'accepted',
  )
})

test('an update cannot name another database', (t) => {
  t.is(
    refusal(() => check({ database: 'other' }, 'update')),
    'parameters.database: is fixed when the instance is created',
  )
})

test("the raw spec's version is the parameter of that name", (t) => {
  t.deepEqual(check({ spec: { version: '17.9', replicas: 3 } }), { version: '17.9', spec: { replicas: 3 } })
  t.deepEqual(check({ version: '17.9', spec: { version: '17.9' } }), { version: '17.9', spec: {} })
})

test('where no version is offered, a raw spec may still name the one there is', (t) => {
  const { version: _, ...parameters }: Bounds = generousPlan.parameters
  const plan = { ...generousPlan, parameters }
  t.deepEqual(check({ spec: { version: '18.3', replicas: 3 } }, 'create', plan), { spec: { replicas: 3 } })
  t.regex(
    refusal(() => check({ spec: { version: '17.9' } }, 'create', plan)),
    /^parameters\.spec\.version: this plan does not take it/,
  )
})

const container = (resources: unknown) => ({
  podTemplate: { spec: { containers: [{ name: 'postgres', resources }] } },
})

for (const [spec, message] of [
  [container({ requests: { cpu: '4001m' } }), /requests\.cpu: 4001m is more than this plan's largest, 4/],
  [container({ limits: { memory: '1Ti' } }), /limits\.memory: 1Ti is more than this plan's largest, 8Gi/],
  [container({ limits: { memory: 1e15 } }), /limits\.memory: .* is more than this plan's largest, 8Gi/],
  [container({ requests: { cpu: '1e6' } }), /requests\.cpu: 1e6 is more than/],
  [container({ requests: { cpu: {} } }), /requests\.cpu: must be a quantity/],
  [{ storage: { resources: { requests: { storage: '9Ei' } } } }, /storage: "9Ei" is not a quantity/],
  [
    { storage: { resources: { requests: { storage: '101Gi' } } } },
    /101Gi is more than this plan's largest, 100Gi/,
  ],
  [
    { storage: { storageClassName: 'gold' } },
    /storageClassName: "gold" is not offered; choose "fast", "standard"/,
  ],
  [{ deletionPolicy: 'Delete' }, /deletionPolicy: "Delete" is not offered; choose "WipeOut", "Halt"/],
  [{ replicas: '3' }, /replicas: must be a whole number/],
  [{ replicas: 2.5 }, /replicas: 2.5 must be a whole number/],
  [{ storageType: 'Ephemeral', deletionPolicy: 'Halt' }, /Halt keeps the disk/],
  [
    { storageType: 'Ephemeral', storage: { resources: { requests: { storage: '10Gi' } } } },
    /an ephemeral database has no disk/,
  ],
] as const) {
  test(`the plan's bounds hold for a raw spec: ${JSON.stringify(spec)}`, (t) => {
    t.regex(
      refusal(() => check({ spec })),
      message,
    )
  })
}

test('a raw spec may ask for an ephemeral database where the plan has a disk', (t) => {
  t.deepEqual<unknown, unknown>(check({ spec: { storageType: 'Ephemeral' } }), {
    spec: { storageType: 'Ephemeral' },
  })
  t.regex(
    refusal(() => check({ spec: { storageType: 'Ephemeral' }, storage: '20Gi' })),
    /an ephemeral database has no disk/,
  )
  t.regex(
    refusal(() => check({ spec: { storageType: 'Ephemeral' }, suspended: true })),
    /would lose its data/,
  )
})

test('a durable database needs a disk from plan, spec or parameter', (t) => {
  const plan = { ...generousPlan, spec: {} }
  t.regex(
    refusal(() => check({ spec: { replicas: 3 } }, 'create', plan)),
    /a durable database needs a disk/,
  )
  t.is(
    refusal(() => check({ spec: { replicas: 3 }, storage: '20Gi' }, 'create', plan)),
    'accepted',
  )
})

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) })

/** Specs that reach for more than their own database. */
const hostile: unknown[] = [
  { hostNetwork: true },
  { podTemplate: { spec: { hostNetwork: true } } },
  { podTemplate: { spec: { hostPID: true, hostIPC: true } } },
  { podTemplate: { spec: { hostAliases: [{ ip: '10.0.0.1', hostnames: ['api'] }] } } },
  { podTemplate: { spec: { serviceAccountName: 'cluster-admin' } } },
  { podTemplate: { spec: { automountServiceAccountToken: true } } },
  { podTemplate: { spec: { nodeName: 'control-plane' } } },
  { podTemplate: { spec: { nodeSelector: { 'node-role.kubernetes.io/control-plane': '' } } } },
  { podTemplate: { spec: { tolerations: [{ operator: 'Exists' }] } } },
  { podTemplate: { spec: { priorityClassName: 'system-node-critical' } } },
  { podTemplate: { spec: { runtimeClassName: 'none' } } },
  { podTemplate: { spec: { schedulerName: 'mine' } } },
  { podTemplate: { spec: { securityContext: { runAsUser: 0 } } } },
  { podTemplate: { spec: { shareProcessNamespace: true } } },
  { podTemplate: { spec: { imagePullSecrets: [{ name: 'other' }] } } },
  { podTemplate: { spec: { volumes: [{ name: 'x', secret: { secretName: 'other-auth' } }] } } },
  { podTemplate: { spec: { volumes: [{ name: 'x', hostPath: { path: '/' } }] } } },
  {
    podTemplate: {
      spec: { initContainers: [{ name: 'x', image: 'x', securityContext: { privileged: true } }] },
    },
  },
  { podTemplate: { spec: { ephemeralContainers: [{ name: 'x' }] } } },
  { podTemplate: { spec: { containers: [{ name: 'postgres', image: 'evil' }] } } },
  { podTemplate: { spec: { containers: [{ name: 'postgres', command: ['sh'] }] } } },
  { podTemplate: { spec: { containers: [{ name: 'postgres', args: ['-c', 'archive_command=x'] }] } } },
  {
    podTemplate: { spec: { containers: [{ name: 'postgres', env: [{ name: 'LD_PRELOAD', value: '/x' }] }] } },
  },
  {
    podTemplate: {
      spec: { containers: [{ name: 'postgres', envFrom: [{ secretRef: { name: 'other' } }] }] },
    },
  },
  {
    podTemplate: {
      spec: { containers: [{ name: 'postgres', volumeMounts: [{ name: 'x', mountPath: '/' }] }] },
    },
  },
  { podTemplate: { spec: { containers: [{ name: 'postgres', securityContext: { privileged: true } }] } } },
  { podTemplate: { spec: { containers: [{ name: 'postgres', lifecycle: { postStart: { exec: {} } } }] } } },
  { podTemplate: { spec: { containers: [{ name: 'postgres', ports: [{ hostPort: 22 }] }] } } },
  { podTemplate: { spec: { containers: [{ name: 'postgres', resources: { claims: [{ name: 'gpu' }] } }] } } },
  {
    podTemplate: {
      spec: { containers: [{ name: 'postgres', resources: { requests: { 'nvidia.com/gpu': 8 } } }] },
    },
  },
  { podTemplate: { spec: { containers: [] } } },
  { podTemplate: { metadata: { labels: { app: 'web' } } } },
  { podTemplate: { controller: { labels: { app: 'web' } } } },
  { authSecret: { name: 'other-auth' } },
  { authSecret: { externallyManaged: true, name: 'x' } },
  { init: { script: { configMap: { name: 'evil' } } } },
  { init: { archiver: { encryptionSecret: { name: 'other' } } } },
  { init: {} },
  { configuration: { inline: { 'user.conf': "archive_command='x'" } } },
  { configuration: { secretName: 'other' } },
  { configSecret: { name: 'other' } },
  { tls: { issuerRef: { kind: 'ClusterIssuer', name: 'x' } } },
  { clientAuthMode: 'cert' },
  { sslMode: 'disable' },
  { monitor: { agent: 'prometheus.io' } },
  { serviceTemplates: [{ alias: 'primary', spec: { type: 'LoadBalancer', externalIPs: ['10.0.0.1'] } }] },
  { remoteReplica: { sourceRef: { name: 'other', namespace: 'other' } } },
  { archiver: { ref: { name: 'x', namespace: 'y' } } },
  { allowedSchemas: { namespaces: { from: 'All' } } },
  { autoOps: { disabled: true } },
  { readReplicas: [{ name: 'x', replicas: 99 }] },
  { arbiter: { resources: { requests: { storage: '9Ti' } } } },
  { halted: true },
  { storage: { dataSource: { kind: 'PersistentVolumeClaim', name: 'data-other-0' } } },
  { storage: { dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'x', namespace: 'other' } } },
  { storage: { volumeName: 'pv-of-another' } },
  { storage: { selector: { matchLabels: {} } } },
  { storage: { volumeMode: 'Block' } },
  { storage: {} },
  { 'storage.resources.requests.storage': '20Gi' },
  { 'podTemplate.spec': { hostNetwork: true } },
  { '*': true },
  { '': true },
  JSON.parse('{"__proto__": {"replicas": 3}}'),
  JSON.parse('{"podTemplate": {"__proto__": {"spec": {}}}}'),
  { constructor: { prototype: { replicas: 3 } } },
  nested(60),
]

for (const spec of hostile) {
  test(`a hostile spec is refused: ${JSON.stringify(spec)}`, (t) => {
    t.regex(
      refusal(() => check({ spec })),
      /parameters\.spec\S+: (this plan does not allow it|is no field)/,
    )
    t.regex(
      refusal(() => checkParameters(generousPlan, postgres, { spec }, 'create', prefixes)),
      /parameters\.spec\S+: (this plan does not allow it|is no field)/,
    )
    t.deepEqual(Object.keys({}), [])
  })
}

for (const spec of [
  { podTemplate: { spec: { containers: [{ name: 'sidecar', resources: { requests: { cpu: '1' } } }] } } },
  { storageType: 'durable' },
  { storageType: ['Durable'] },
  { streamingMode: ['Synchronous'] },
  { streamingMode: 'x\ny' },
  { storage: { accessModes: ['ReadWriteMany'] } },
  { deletionPolicy: 'DoNotTerminate' },
  { healthChecker: { periodSeconds: 'a\nb' } },
  { healthChecker: { constructor: 1 } },
  { healthChecker: nested(20) },
  { replicas: null },
]) {
  test(`a value out of place is refused: ${JSON.stringify(spec)}`, (t) => {
    t.regex(
      refusal(() => check({ spec })),
      /^parameters\.spec/,
    )
  })
}

test('of many refused paths the first few are named and the rest counted', (t) => {
  const spec = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`x${index}`, 1]))
  const said = refusal(() => check({ spec }))
  t.regex(said, /^parameters\.spec\.x0: /)
  t.regex(said, /parameters\.spec\.x4: .*; parameters\.spec: and 35 more that this plan does not allow$/)
})

test('bindings take a role and nothing else', (t) => {
  const bind = (parameters: unknown) => checkBindingParameters(postgresTraits, parameters)
  t.deepEqual(bind({ role: 'readOnly' }), { role: 'readOnly' })
  t.is(
    refusal(() => bind({ role: 'admin' })),
    'parameters.role: "admin" is not offered; choose "owner", "readWrite", "readOnly"',
  )
  t.regex(
    refusal(() => bind({ role: null })),
    /^parameters\.role: must be a string, not null/,
  )
  t.is(
    refusal(() => bind({ user: 'postgres' })),
    'parameters.user: cannot be set here; what can is role',
  )
  t.regex(
    refusal(() => bind({ role: 'x'.repeat(4096) })),
    /^parameters: has 4107 bytes as JSON; at most 4096 are taken$/,
  )
})

test('a kind with one role offers no other', (t) => {
  const traits: Traits = { ...postgresTraits, roles: ['readWrite'] }
  t.deepEqual(checkBindingParameters(traits, {}), { role: 'readWrite' })
  t.not(
    refusal(() => checkBindingParameters(traits, { role: 'owner' })),
    'accepted',
  )
})
