/**
 * What roles cannot say: which objects a function may make, change and delete, and what may be in them. A
 * ValidatingAdmissionPolicy bounds every write of the functions' ServiceAccounts, whatever code runs under them.
 */
import { systemNamespaces } from '../shared/environment/system-namespaces.ts'
import { routes } from '../shared/routes.ts'
import { isObject } from '../shared/values/json.ts'
import type { Specified } from './gateways.ts'
import { type KindResources, type Namespaces, nameOf } from './roles.ts'

const apiVersion = 'admissionregistration.k8s.io/v1'
const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }

/** What the broker knows its own objects by. */
const label = 'osb.kubedb.com/instance'

/** Members of a pod's template that plans and users can set, and those that KubeDB fills in. */
const podFields = [
  'affinity',
  'containers',
  'imagePullSecrets',
  'initContainers',
  'nodeSelector',
  'podPlacementPolicy',
  'priority',
  'priorityClassName',
  'schedulerName',
  'securityContext',
  'serviceAccountName',
  'terminationGracePeriodSeconds',
  'tolerations',
  'topologySpreadConstraints',
]
/** No image, command, volume or hook; of environment and probes what KubeDB's webhooks write and nothing else. */
const containerFields = ['env', 'name', 'resizePolicy', 'resources', 'securityContext']
/** What the nodes of a Kafka have in common. */
const variables = ['KAFKA_CLUSTER_ID']
const probeFields = ['livenessProbe', 'readinessProbe']
/** Who asks a MongoDB whether it is there: the shell before version 6, and since; without TLS, and with it. */
const mongodbProbes = ['mongo', 'mongosh'].flatMap((shell) =>
  [
    '',
    '--tls --tlsCAFile=/var/run/mongodb/tls/ca.crt --tlsCertificateKeyFile=/var/run/mongodb/tls/client.pem',
  ].map((tls) => ({
    exec: {
      command: [
        'bash',
        '-c',
        `set -x; if [[ $(${shell} admin --host=localhost ${tls} --quiet --eval "db.adminCommand('ping').ok" ) -eq "1" ]]; then \n          exit 0\n        fi\n        exit 1`,
      ],
    },
    failureThreshold: 3,
    periodSeconds: 10,
    successThreshold: 1,
    timeoutSeconds: 5,
  })),
)
/** Capabilities that KubeDB itself gives its engines. */
const capabilities = ['IPC_LOCK', 'SYS_RESOURCE']
/** Members of a database's spec that name a Secret. */
const secretFields = ['authSecret', 'configSecret', 'keyFileSecret']

/** A text or a list of texts in CEL. */
const cel = (value: string | readonly string[]): string => JSON.stringify(value)
/** Any JSON in CEL, whose maps want members of one type. */
const dynamic = (value: unknown): string =>
  isObject(value)
    ? `dyn({${Object.entries(value)
        .map(([key, member]) => `${cel(key)}: ${dynamic(member)}`)
        .join(', ')}})`
    : `dyn(${JSON.stringify(value)})`
const isMap = (value: string) => `type(${value}) == map`
const all = (of: string, name: string, condition: string) => `${of}.all(${name}, ${condition})`

/** @returns an expression: this securityContext of a pod or container gives nothing away */
function plainSecurity(context: string): string {
  return [
    `!(has(${context}.privileged) && ${context}.privileged)`,
    `!(has(${context}.allowPrivilegeEscalation) && ${context}.allowPrivilegeEscalation)`,
    `!has(${context}.procMount)`,
    `!has(${context}.sysctls)`,
    `!(has(${context}.capabilities) && has(${context}.capabilities.add)) || ${all(`${context}.capabilities.add`, 'capability', `capability in ${cel(capabilities)}`)}`,
  ]
    .map((each) => `(${each})`)
    .join(' && ')
}

/** @returns an expression: this member of a container is a probe that KubeDB's webhook has written */
function kubedbsProbe(container: string, field: string): string {
  return `request.resource.resource == "mongodbs" && ${container}.name == "mongodb" && ${field} in ${cel(probeFields)} && ${container}[${field}] in variables.mongodbProbes`
}

/** @returns an expression: this pod template is bounded */
function plainTemplate(template: string): string {
  const spec = `${template}.spec`
  const containers = (name: string) =>
    `(!has(${spec}.${name}) || ${all(
      `${spec}.${name}`,
      'c',
      `${all('c', 'field', `field in ${cel(containerFields)} || (${kubedbsProbe('c', 'field')})`)} && (!has(c.env) || ${all('c.env', 'v', `v.name in ${cel(variables)} && !has(v.valueFrom)`)}) && (!has(c.securityContext) || (${plainSecurity('c.securityContext')}))`,
    )})`
  return `(!has(${spec}) || (${[
    all(spec, 'field', `field in ${cel(podFields)}`),
    containers('containers'),
    containers('initContainers'),
    `(!has(${spec}.serviceAccountName) || ${spec}.serviceAccountName == object.metadata.name)`,
    `(!has(${spec}.securityContext) || (${plainSecurity(`${spec}.securityContext`)}))`,
  ].join(' && ')}))`
}

/** @returns an expression: what is under podTemplate here is bounded, or was there before */
function template(part: string, before: string): string {
  const same = `(${isMap(before)} && "podTemplate" in ${before} && ${before}.podTemplate == ${part}.podTemplate)`
  return `(!("podTemplate" in ${part}) || ${same} || ${plainTemplate(`${part}.podTemplate`)})`
}

/** @returns an expression: this is the name of a Secret of the database that is being written, or none yet */
const ofDatabase = (name: string) => `(${name} == "" || ${name}.startsWith(object.metadata.name + "-"))`

/** @returns an expression: engine settings here come from the object itself, or from a Secret of this database */
function settings(part: string): string {
  const name = `${part}.configuration.secretName`
  return `(!has(${part}.configuration) || !has(${name}) || ${ofDatabase(name)})`
}

/** Pod templates are in the spec itself, in a part of it (`arbiter`), or in a part of a part (`topology.data`). */
function templates(): string {
  const old = (path: readonly string[]) =>
    path.reduceRight(
      (inner, _, index) => {
        const above = ['variables.old', ...path.slice(0, index).map((key) => `[${key}]`)].join('')
        return `(${isMap(above)} && ${path[index]} in ${above} ? ${inner} : dyn(null))`
      },
      ['variables.old', ...path.map((key) => `[${key}]`)].join(''),
    )
  const one = 'object.spec[k]'
  const two = 'object.spec[k][l]'
  return [
    settings('object.spec'),
    template('object.spec', 'variables.old'),
    all(
      'object.spec',
      'k',
      `k == "podTemplate" || !(${isMap(one)}) || (${settings(one)} && ${template(one, old(['k']))} && ${all(
        one,
        'l',
        `l == "podTemplate" || !(${isMap(two)}) || (${settings(two)} && ${template(two, old(['k', 'l']))})`,
      )})`,
    ),
  ].join(' && ')
}

/** @returns an expression: the member names a Secret of this database alone, or what it named before */
function ownSecret(field: string): string {
  const value = `object.spec.${field}`
  const before = `("${field}" in variables.old && variables.old.${field} == ${value})`
  return `!has(${value}) || ${before} || !(${isMap(value)}) || !has(${value}.name) || ${ofDatabase(`${value}.name`)}`
}

interface Validation {
  expression: string
  message: string
}

function validations(broker: string, kinds: readonly KindResources[]): Validation[] {
  const resource = (group: string, names: readonly string[]) =>
    `(request.resource.group == "${group}" && request.resource.resource in ${cel(names)})`
  const databases = resource(
    'kubedb.com',
    kinds.map((kind) => kind.plural),
  )
  const opsRequests = resource(
    'ops.kubedb.com',
    kinds.map((kind) => kind.opsPlural),
  )
  const records = resource('appcatalog.appscode.com', ['appbindings'])
  const secrets = resource('', ['secrets'])
  const reviews = [
    resource('authentication.k8s.io', ['tokenreviews']),
    resource('authorization.k8s.io', ['subjectaccessreviews']),
  ].join(' || ')
  const when = (condition: string, then: string) => `!(${condition}) || (${then})`
  const written = 'request.operation in ["CREATE", "UPDATE"]'
  const deleting = 'request.operation in ["UPDATE", "DELETE"]'
  const has = (object: string) =>
    `has(${object}.metadata.labels) && ${cel(label)} in ${object}.metadata.labels`
  return [
    {
      expression: `${databases} || ${opsRequests} || ${records} || ${secrets} || ${reviews}`,
      message: 'the broker writes databases, OpsRequests, its records and Secrets of databases, nothing else',
    },
    {
      expression: when(`!(${reviews}) && ${written}`, 'object.metadata.name.startsWith("osb-")'),
      message: 'names of what the broker makes begin with osb-',
    },
    {
      expression: when(
        `!(${reviews}) && ${written}`,
        `${has('object')} && object.metadata.labels[${cel(label)}].matches("^[a-z2-7]{26}$")`,
      ),
      message: `what the broker makes carries its label ${label}`,
    },
    {
      expression: when(
        `!(${reviews}) && ${deleting}`,
        `${has('oldObject')} && oldObject.metadata.name.startsWith("osb-")`,
      ),
      message: `the broker changes and deletes only what carries its label ${label} and a name with osb-`,
    },
    {
      expression: when(
        `!(${reviews}) && request.operation == "UPDATE"`,
        `object.metadata.labels[${cel(label)}] == oldObject.metadata.labels[${cel(label)}]`,
      ),
      message: `the label ${label} of an object never changes`,
    },
    {
      expression: when(
        `!(${reviews}) && ${written}`,
        `!has(object.metadata.finalizers) || (request.operation == "UPDATE" && has(oldObject.metadata.finalizers) && ${all('object.metadata.finalizers', 'f', 'f in oldObject.metadata.finalizers')})`,
      ),
      message: 'the broker adds no finalizers',
    },
    {
      expression: when(records, `request.namespace == ${cel(broker)}`),
      message: `records of the broker are in its namespace ${broker}`,
    },
    {
      expression: when(
        `${records} && ${written}`,
        'object.spec.type.startsWith("osb.kubedb.com/") && !has(object.spec.secret) && !has(object.spec.tlsSecret) && object.spec.clientConfig.size() == 0',
      ),
      message: 'records of the broker name no address and no Secret',
    },
    {
      expression: when(
        `${databases} || ${opsRequests} || ${secrets}`,
        `request.namespace != ${cel(broker)} && !request.namespace.matches(${cel(systemNamespaces.source)})`,
      ),
      message:
        "no databases are in the broker's namespace, nor in those of Kubernetes, KubeDB, Knative and what serves them",
    },
    {
      expression: when(`${opsRequests} && ${written}`, 'object.spec.databaseRef.name.startsWith("osb-")'),
      message: 'an OpsRequest of the broker is about a database of the broker',
    },
    {
      expression: when(
        `${databases} && ${written}`,
        'request.operation == "CREATE" || !has(object.spec.init) || ("init" in variables.old && variables.old.init == object.spec.init)',
      ),
      message: 'spec.init: a database of the broker starts empty',
    },
    {
      expression: when(
        `${databases} && request.operation == "CREATE"`,
        '!has(object.spec.init) || object.spec.init.all(field, field in ["initialized", "waitForInitialRestore"])',
      ),
      message: 'spec.init: a database of the broker starts empty',
    },
    ...secretFields.map((field) => ({
      expression: when(`${databases} && ${written}`, ownSecret(field)),
      message: `spec.${field}: must name a Secret of this database`,
    })),
    {
      expression: when(`${databases} && ${written}`, templates()),
      message:
        'a podTemplate of the broker sets resources and where pods run; no volumes, images, commands, environment, host namespaces, privileges or foreign ServiceAccounts; a configuration names a Secret of this database',
    },
  ]
}

/**
 * @param name of both; they are of the whole cluster
 * @returns the policy, and the binding that puts it in force
 */
export function admissionPolicy(
  { broker }: Pick<Namespaces, 'broker'>,
  kinds: readonly KindResources[],
  name = 'osb-functions',
): Specified[] {
  const accounts = routes.map((route) => `system:serviceaccount:${broker}:${nameOf(route)}`)
  return [
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name, labels },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: ['*'],
              apiVersions: ['*'],
              resources: ['*'],
              operations: ['CREATE', 'UPDATE', 'DELETE'],
            },
          ],
        },
        matchConditions: [
          { name: 'written-by-a-function', expression: `request.userInfo.username in ${cel(accounts)}` },
        ],
        variables: [
          { name: 'mongodbProbes', expression: `[${mongodbProbes.map(dynamic).join(', ')}]` },
          {
            name: 'old',
            expression: 'request.operation == "UPDATE" && has(oldObject.spec) ? oldObject.spec : dyn({})',
          },
        ],
        validations: validations(broker, kinds),
      },
    },
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name, labels },
      spec: { policyName: name, validationActions: ['Deny'] },
    },
  ]
}
