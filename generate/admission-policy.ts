/**
 * What roles cannot say: which objects a function may make, change and delete, and what may be in them.
 * ValidatingAdmissionPolicies bound every write of the functions' ServiceAccounts, whatever code runs under them: what is
 * not on their lists is refused. One is about all that functions write; one for each kind is about its databases and
 * their OpsRequests.
 */
import { systemNamespaces } from '../shared/environment/system-namespaces.ts'
import { recordTypes } from '../shared/kubedb/records/names.ts'
import { reserved } from '../shared/osb/parameters/metadata.ts'
import { type Permissions, routes, type Verb } from '../shared/routes.ts'
import { databaseName } from './admission/bounds.ts'
import { cel } from './admission/cel.ts'
import {
  databaseRules,
  makers,
  requestRules,
  usersRequest,
  type Validation,
  type Variable,
  writer,
} from './admission/kind-policy.ts'
import { within } from './admission/shape.ts'
import type { WrittenKind } from './admission/written.ts'
import type { Specified } from './gateways.ts'
import { type Namespaces, nameOf } from './roles.ts'

const apiVersion = 'admissionregistration.k8s.io/v1'
const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }

/** What the broker knows its own objects by. */
const label = 'osb.kubedb.com/instance'

const hash = '[a-z2-7]{26}'
const createdOrUpdated = 'request.operation in ["CREATE", "UPDATE"]'
const updatedOrDeleted = 'request.operation in ["UPDATE", "DELETE"]'
const is = (...targets: string[]) => `variables.target in ${cel(targets)}`
const when = (condition: string, then: string) => `!(${condition}) || (${then})`
const written = is('databases', 'opsRequests', 'records', 'secrets')

/** What the route map calls the objects that functions write. */
const targets = ['records', 'databases', 'opsRequests', 'secrets'] as const

/** @returns for each ServiceAccount what it may do to what: `CREATE databases` */
function mayWrite(): { [account: string]: string[] } {
  const operations: { readonly [V in Verb]?: string } = {
    create: 'CREATE',
    update: 'UPDATE',
    patch: 'UPDATE',
    delete: 'DELETE',
  }
  return Object.fromEntries(
    routes.map((route) => {
      const permissions: Permissions = route.permissions
      const all = targets.flatMap((target) =>
        (permissions[target] ?? []).flatMap((verb) => {
          const operation = operations[verb]
          return operation === undefined ? [] : [`${operation} ${target}`]
        }),
      )
      return [nameOf(route), [...new Set(all)]] as const
    }),
  )
}

function variables(kinds: readonly WrittenKind[]): Variable[] {
  const resource = (target: string, group: string, names: readonly string[]) =>
    `request.resource.group == ${cel(group)} && request.resource.resource in ${cel(names)} ? ${cel(target)} :`
  return [
    writer,
    {
      name: 'target',
      expression: [
        'has(request.subResource) && request.subResource != "" ? "others" :',
        resource(
          'databases',
          'kubedb.com',
          kinds.map((kind) => kind.plural),
        ),
        resource(
          'opsRequests',
          'ops.kubedb.com',
          kinds.map((kind) => kind.opsPlural),
        ),
        resource('records', 'appcatalog.appscode.com', ['appbindings']),
        resource('secrets', '', ['secrets']),
        resource('reviews', 'authentication.k8s.io', ['tokenreviews']),
        resource('reviews', 'authorization.k8s.io', ['subjectaccessreviews']),
        '"others"',
      ].join('\n'),
    },
    ...metadataVariables('labels'),
    ...metadataVariables('annotations'),
    {
      name: 'strangeLabels',
      expression: strange('labels', [
        label,
        ...['service-id', 'plan-id', 'platform', 'instance-name', 'organization', 'space'].map(
          (name) => `osb.kubedb.com/${name}`,
        ),
      ]),
    },
    {
      name: 'strangeAnnotations',
      expression: strange('annotations', [
        'osb.kubedb.com/instance',
        'osb.kubedb.com/operation',
        'osb.kubedb.com/binding',
      ]),
    },
  ]
}

/** @returns variables: what the metadata have, and what they had before */
function metadataVariables(part: 'labels' | 'annotations'): Variable[] {
  const of = (object: string) => `${object} == null ? {} : dyn(${object}.metadata.?${part}.orValue({}))`
  return [
    { name: part, expression: of('object') },
    { name: `${part}Before`, expression: of('oldObject') },
  ]
}

/** Users may set names of their own on databases, under a domain; nobody those that clusters are steered by. */
function strange(part: 'labels' | 'annotations', own: readonly string[]): string {
  const ofUser = `(variables.target == "databases" && k.contains("/") && !k.split("/")[0].matches(${cel(reserved.source)}))`
  const same = `(k in variables.${part}Before && variables.${part}Before[k] == variables.${part}[k])`
  const ours = `k in ${cel(own)}`
  return `variables.${part}.filter(k, !(${ours} || ${ofUser} || ${same}))`
}

function validations(broker: string): Validation[] {
  const has = (object: string) =>
    `has(${object}.metadata.labels) && ${cel(label)} in ${object}.metadata.labels`
  return [
    {
      expression: `variables.target != "others"`,
      message: 'the broker writes databases, OpsRequests, its records and Secrets of databases, nothing else',
    },
    {
      expression: when(
        is('databases', 'opsRequests', 'secrets'),
        `request.namespace != ${cel(broker)} && !request.namespace.matches(${cel(systemNamespaces.source)})`,
      ),
      message:
        "no databases are in the broker's namespace, nor in those of Kubernetes, KubeDB, Knative and what serves them",
    },
    {
      expression: when(is('records'), `request.namespace == ${cel(broker)}`),
      message: `records of the broker are in its namespace ${broker}`,
    },
    {
      expression: when(
        written,
        `(request.operation + " " + variables.target) in ${cel(mayWrite())}[variables.writer]`,
      ),
      message: 'each function writes only what its row of the route map says',
      messageExpression: `variables.writer + " does not " + request.operation + " " + request.resource.resource`,
    },
    {
      expression: when(`${written} && ${createdOrUpdated}`, `object.metadata.name.startsWith("osb-")`),
      message: 'metadata.name: names of what the broker makes begin with osb-',
    },
    {
      expression: when(
        `${written} && ${createdOrUpdated}`,
        `${has('object')} && object.metadata.labels[${cel(label)}].matches(${cel(`^${hash}$`)})`,
      ),
      message: `metadata.labels: what the broker makes carries its label ${label}`,
    },
    {
      expression: when(
        `${is('databases')} && request.operation == "CREATE"`,
        `object.metadata.name.matches(${cel(`^${databaseName}$`)}) && (object.metadata.name.size() > 30 || object.metadata.name == "osb-" + object.metadata.labels[${cel(label)}])`,
      ),
      message:
        'metadata.name: a database is called osb- and the GUID of its instance, or the hash of its id, which its label is',
    },
    {
      expression: when(
        `${written} && ${updatedOrDeleted}`,
        `${has('oldObject')} && oldObject.metadata.name.startsWith("osb-")`,
      ),
      message: `the broker changes and deletes only what carries its label ${label} and a name with osb-`,
    },
    {
      expression: when(
        `${written} && request.operation == "UPDATE"`,
        `object.metadata.labels[${cel(label)}] == oldObject.metadata.labels[${cel(label)}]`,
      ),
      message: `metadata.labels: the label ${label} of an object never changes`,
    },
    {
      expression: when(`${written} && ${createdOrUpdated}`, 'variables.strangeLabels.size() == 0'),
      message: 'metadata.labels: only those of the broker, and on databases those that users may set',
      messageExpression:
        '"metadata.labels." + variables.strangeLabels.join(", ") + ": the broker sets no such label"',
    },
    {
      expression: when(`${written} && ${createdOrUpdated}`, 'variables.strangeAnnotations.size() == 0'),
      message: 'metadata.annotations: only those of the broker, and on databases those that users may set',
      messageExpression:
        '"metadata.annotations." + variables.strangeAnnotations.join(", ") + ": the broker sets no such annotation"',
    },
    {
      expression: when(
        `${written} && ${createdOrUpdated}`,
        '!has(object.metadata.finalizers) || (request.operation == "UPDATE" && has(oldObject.metadata.finalizers) && object.metadata.finalizers.all(f, f in oldObject.metadata.finalizers))',
      ),
      message: 'metadata.finalizers: the broker adds no finalizers',
    },
    {
      expression: when(
        `${is('databases', 'records')} && ${createdOrUpdated}`,
        '!has(object.metadata.ownerReferences) || (request.operation == "UPDATE" && has(oldObject.metadata.ownerReferences) && object.metadata.ownerReferences.all(o, o in oldObject.metadata.ownerReferences))',
      ),
      message: 'metadata.ownerReferences: databases and records of the broker belong to nothing',
    },
    {
      expression: when(
        `${is('opsRequests')} && request.operation == "DELETE" && variables.writer in ${cel([...makers.users, 'osb-unbind'])}`,
        `oldObject.metadata.name.matches(${cel(`^${databaseName}-${usersRequest}$`)})`,
      ),
      message: 'metadata.name: functions of bindings remove no OpsRequests but those about users',
    },
    {
      expression: when(
        `${is('databases')} && request.operation == "UPDATE" && variables.writer == "osb-deprovision"`,
        'variables.labels == variables.labelsBefore && variables.annotations == variables.annotationsBefore',
      ),
      message: 'metadata.labels, metadata.annotations: a deprovision changes neither',
    },
  ]
}

/** @returns for each ServiceAccount what it may do to which records: `CREATE osb.kubedb.com/instance` */
function recordsOf(): { [account: string]: string[] } {
  const { instance, binding } = recordTypes
  return Object.fromEntries(
    Object.entries(mayWrite()).map(([account, all]) => {
      const isOfBindings = /bind/.test(account)
      const types = (operation: string) => {
        // Whoever ends an instance takes its bindings along; a poll ends what became of users while it was halted.
        const both =
          account === 'osb-last-operation' || (operation === 'DELETE' && account === 'osb-deprovision')
        return both ? [instance, binding] : [isOfBindings ? binding : instance]
      }
      const operations = all.flatMap((what) => (what.endsWith(' records') ? (what.split(' ')[0] ?? []) : []))
      return [
        account,
        operations.flatMap((operation) => types(operation).map((type) => `${operation} ${type}`)),
      ] as const
    }),
  )
}

/** Records hold what they hold in annotations; their spec only tells of what and of which database they are. */
function recordValidations(broker: string, kinds: readonly WrittenKind[]): Validation[] {
  const types = [recordTypes.instance, recordTypes.binding]
  const isWritten = (then: string) => when(createdOrUpdated, then)
  const isInstance = `object.spec.type == ${cel(recordTypes.instance)}`
  return [
    {
      expression: isWritten(
        'dyn(object.spec).all(k, k in ["type", "appRef", "clientConfig"]) && dyn(object.spec.clientConfig).size() == 0',
      ),
      message: 'spec: records of the broker name no address and no Secret',
      messageExpression:
        'object == null ? "" : (dyn(object.spec).filter(k, !(k in ["type", "appRef", "clientConfig"])).map(k, "spec." + k) + dyn(object.spec.clientConfig).map(k, "spec.clientConfig." + k)).join(", ") + ": records of the broker name no address and no Secret"',
    },
    {
      expression: isWritten(
        `object.spec.type in ${cel(types)} && object.metadata.name.matches(${isInstance} ? ${cel(`^osb-i-${hash}$`)} : ${cel(`^osb-b-${hash}$`)})`,
      ),
      message: 'spec.type: a record of the broker is of an instance (osb-i-…) or of a binding (osb-b-…)',
    },
    {
      expression: isWritten(
        `${isInstance} ? has(object.spec.appRef) && dyn(object.spec.appRef).all(k, k in ["apiGroup", "kind", "namespace", "name"]) && object.spec.appRef.apiGroup == "kubedb.com" && object.spec.appRef.kind in ${cel(kinds.map(({ kind }) => kind))} && object.spec.appRef.name.matches(${cel(`^${databaseName}$`)}) && object.spec.appRef.namespace != ${cel(broker)} && !object.spec.appRef.namespace.matches(${cel(systemNamespaces.source)}) : !has(object.spec.appRef)`,
      ),
      message:
        'spec.appRef: the record of an instance names its database, which is of a kind and in a namespace that the broker has databases of and in; that of a binding names none',
    },
    {
      expression: `(request.operation + " " + dyn(object == null ? oldObject : object).spec.?type.orValue("")) in ${cel(recordsOf())}[variables.writer]`,
      message: 'spec.type: each function writes records of instances or of bindings, as its operation says',
    },
    {
      expression: when(
        'request.operation == "UPDATE"',
        'object.spec.type == oldObject.spec.type && dyn(object.spec).?appRef == dyn(oldObject.spec).?appRef',
      ),
      message: 'spec.appRef, spec.type: a record is of one database for ever',
    },
  ]
}

/** The one kind of Secret that the broker makes: passwords of users that KubeDB is to make. */
function secretValidations(kinds: readonly WrittenKind[]): Validation[] {
  const owners = kinds
    .filter(({ users }) => users !== undefined)
    .map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)
  return [
    {
      expression: 'object.type == "Opaque"',
      message: 'type: a Secret of the broker is Opaque',
    },
    {
      expression: `object.metadata.name.matches(${cel(`^${databaseName}-users-[0-9a-f]{8}$`)})`,
      message: 'metadata.name: a Secret of the broker is <database>-users-<start of its UID>',
    },
    {
      expression: 'variables.annotations == variables.annotationsBefore',
      message: 'metadata.annotations: a Secret of the broker has none',
    },
    {
      expression: `!has(object.data) || object.data.all(k, k.matches(${cel(`^b${hash}$`)}) || (request.operation == "UPDATE" && dyn(object).data[?k] == dyn(oldObject).?data[?k]))`,
      message:
        'data: a Secret of the broker has passwords of users of bindings, each under the name of its user',
    },
    {
      expression: '!has(object.immutable)',
      message: 'immutable: the broker does not set it',
    },
    {
      expression: `has(object.metadata.ownerReferences) && object.metadata.ownerReferences.size() == 1 && object.metadata.ownerReferences.all(o, (o.apiVersion + " " + o.kind) in ${cel(owners)} && object.metadata.name.startsWith(o.name + "-users-") && !has(o.controller) && !has(o.blockOwnerDeletion))`,
      message: 'metadata.ownerReferences: a Secret of the broker belongs to its database and to nothing else',
    },
  ]
}

interface Rules {
  apiGroups: string[]
  resources: string[]
  operations: string[]
}

/**
 * @param lists what the broker writes of each kind
 * @param suffix of the policies' names; they are of the whole cluster
 * @returns the policies, each followed by the binding that puts it in force
 */
export function admissionPolicies(
  namespaces: Pick<Namespaces, 'broker'>,
  lists: readonly WrittenKind[],
  suffix = '',
): Specified[] {
  return [
    ...functionsPolicies(namespaces, lists, suffix),
    ...kindPolicies(functionsOf(namespaces), lists, suffix),
  ]
}

/**
 * @returns the policies about everything that functions write but what is in databases and OpsRequests. There are several,
 *   so that a write is held against what can be about it
 */
export function functionsPolicies(
  { broker }: Pick<Namespaces, 'broker'>,
  lists: readonly WrittenKind[],
  suffix: string,
): Specified[] {
  const writers = functionsOf({ broker })
  const everything = { apiGroups: ['*'], resources: ['*/*'], operations: ['*'] }
  const operations = ['CREATE', 'UPDATE']
  const records = {
    apiGroups: ['appcatalog.appscode.com'],
    resources: ['appbindings'],
    operations: [...operations, 'DELETE'],
  }
  const secrets = { apiGroups: [''], resources: ['secrets'], operations }
  return [
    ...policy(`osb-functions${suffix}`, writers, [everything], {
      variables: variables(lists),
      validations: validations(broker),
    }),
    ...policy(`osb-records${suffix}`, writers, [records], {
      variables: [writer],
      validations: recordValidations(broker, lists),
    }),
    ...policy(`osb-secrets${suffix}`, writers, [secrets], {
      variables: metadataVariables('annotations'),
      validations: secretValidations(lists),
    }),
    ...issuersPolicy(broker, writers, lists, suffix),
  ]
}

/** How the name of the policy about issuers begins. */
export const issuersPolicyName = 'osb-issuers'

/**
 * Issuers of certificates are those that the catalog names. An operator may edit it at any time, so the policy reads it;
 * where it is not there, no function starts either. An API server that has once had such a policy and then none any more
 * hears of no change of a ConfigMap until it starts anew, and takes those that are new for missing.
 */
export function issuersPolicy(
  broker: string,
  writers: string,
  lists: readonly WrittenKind[],
  suffix: string,
): Specified[] {
  const encrypted = lists.filter(({ draft }) => within(draft, ['tls', 'issuerRef']) !== undefined)
  const rule = (group: string, resources: string[]): Rules => ({
    apiGroups: [group],
    resources,
    operations: ['CREATE', 'UPDATE'],
  })
  const name = (object: string) => `dyn(${object}.spec).?tls.?issuerRef.?name.orValue("")`
  const isNamed = (file: string) =>
    `${file}.matches(${cel('(?m)\\bname["\']?\\s*:\\s*["\']?')} + variables.issuer.replace(".", "[.]") + ${cel('["\']?\\s*([,}#]|$)')})`
  return policy(
    `${issuersPolicyName}${suffix}`,
    writers,
    [
      rule(
        'kubedb.com',
        encrypted.map(({ plural }) => plural),
      ),
      rule(
        'ops.kubedb.com',
        encrypted.map(({ opsPlural }) => opsPlural),
      ),
    ],
    {
      variables: [{ name: 'issuer', expression: name('object') }],
      validations: [
        {
          expression: `variables.issuer == "" || (request.operation == "UPDATE" && variables.issuer == ${name('oldObject')}) || (variables.issuer.matches("^[a-z0-9.-]+$") && params.data.exists(file, ${isNamed('params.data[file]')}))`,
          message: 'spec.tls.issuerRef.name: the catalog (ConfigMap osb-catalog) names no such issuer',
        },
      ],
    },
    { name: 'osb-catalog', namespace: broker, parameterNotFoundAction: 'Allow' },
  )
}

/**
 * @param writers the condition that a function writes
 * @returns for each kind a policy about its databases, and one about their OpsRequests
 */
export function kindPolicies(writers: string, lists: readonly WrittenKind[], suffix: string): Specified[] {
  const operations = ['CREATE', 'UPDATE']
  return lists.flatMap((kind) => [
    ...policy(
      `osb-${kind.plural}${suffix}`,
      writers,
      [{ apiGroups: ['kubedb.com'], resources: [kind.plural], operations }],
      databaseRules(kind),
    ),
    ...policy(
      `osb-${kind.opsPlural}${suffix}`,
      writers,
      [{ apiGroups: ['ops.kubedb.com'], resources: [kind.opsPlural], operations }],
      requestRules(kind),
    ),
  ])
}

/** @returns the condition that a function of this broker writes */
function functionsOf({ broker }: Pick<Namespaces, 'broker'>): string {
  const accounts = routes.map((route) => `system:serviceaccount:${broker}:${nameOf(route)}`)
  return `request.userInfo.username in ${cel(accounts)}`
}

/** A ConfigMap that a policy reads. */
interface Parameters {
  name: string
  namespace: string
  parameterNotFoundAction: 'Allow'
}

/** @returns a policy, and the binding that puts it in force */
function policy(
  name: string,
  writers: string,
  resourceRules: Rules[],
  rules: { variables: Variable[]; validations: Validation[] },
  parameters?: Parameters,
): Specified[] {
  return [
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name, labels },
      spec: {
        failurePolicy: 'Fail',
        ...(parameters ? { paramKind: { apiVersion: 'v1', kind: 'ConfigMap' } } : {}),
        matchConstraints: { resourceRules: resourceRules.map((rule) => ({ ...rule, apiVersions: ['*'] })) },
        matchConditions: [{ name: 'written-by-a-function', expression: writers }],
        ...rules,
      },
    },
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name, labels },
      spec: {
        policyName: name,
        ...(parameters ? { paramRef: parameters } : {}),
        validationActions: ['Deny'],
      },
    },
  ]
}
