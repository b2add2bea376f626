/**
 * The cluster that `test/run.ts` started, for one test file:
 *
 *     const cluster = useCluster(test)
 *
 *     test('…', async (t) => {
 *       const { status, body } = await cluster.admin('GET', `${cluster.databasesPath('postgreses')}/mine`)
 *       t.is(textAt(body, 'spec', 'version'), '18.3')
 *
 * Each file gets a pair of namespaces of its own with the broker's ServiceAccounts and Roles; both are deleted at the
 * file's end, databases included. For functions on top of it see broker.ts.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestFn } from 'ava'
import * as v from 'valibot'
import type { Namespaces } from '../../generate/roles.ts'
import { applyDashboardRoles, applyRoles } from '../../sandbox/broker/service-accounts.ts'
import { type Administrator, administratorOf } from '../../sandbox/control-plane/administrator.ts'
import type { ControlPlane } from '../../sandbox/control-plane/control-plane.ts'
import { ask, type Endpoint, mintToken, type PatchType } from '../../sandbox/control-plane/request.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { isObject, type Json, JsonObject } from '../../shared/values/json.ts'
import { withholding } from './withheld-permission.ts'

/** What `test/run.ts` writes for the test files, and names in TEST_CLUSTER. */
export const SharedCluster = v.object({
  url: v.string(),
  caFile: v.string(),
  adminToken: v.string(),
  kubeconfigFile: v.string(),
  /** names.json of the operator */
  names: v.string(),
  functionsDirectory: v.string(),
  /** whether owned objects vanish with their owner */
  collectsGarbage: v.boolean(),
  /** the CRDs are the sandbox's own, or those that KUBEDB_CRDS names */
  crds: v.picklist(['own', 'upstream']),
})
export type SharedCluster = v.InferOutput<typeof SharedCluster>

/** A line of namespaces.jsonl, beside what TEST_CLUSTER names: the broker's namespace of a test file. */
export const NamespaceNote = v.object({ namespace: v.string(), file: v.string() })
export type NamespaceNote = v.InferOutput<typeof NamespaceNote>

export interface JsonAnswer {
  status: number
  /** `{}` for a body that is no JSON object; see `at` and `textAt` for what is deeper in it */
  body: JsonObject
  /** the body as it came */
  text: string
}

export interface TestCluster extends SharedCluster {
  /** PEM */
  ca: string
  namespaces: Namespaces
  /** settles once the roles are there, which AVA waits for before the tests */
  ready(): Promise<void>
  administrator: Administrator
  /** one request as administrator, paths beginning with a slash */
  admin(method: string, path: string, body?: unknown, patchType?: PatchType): Promise<JsonAnswer>
  /** the same as a ServiceAccount of the broker, e.g. `osb-bind` */
  as(serviceAccount: string): Promise<TestCluster['admin']>
  /** @returns path of a collection in the namespace of databases: `postgreses`, `postgresopsrequests`, `secrets`… */
  databasesPath(plural: string): string
  /** @returns path of the collection of the broker's records */
  recordsPath(): string
}

/** @throws when the tests were not started by `npm test` */
export function sharedCluster(): SharedCluster {
  const file = process.env.TEST_CLUSTER
  if (!file) throw new Error('this test needs a cluster: run it as `npm test -- <file>`')
  return v.parse(SharedCluster, JSON.parse(readFileSync(file, 'utf8')))
}

export interface ClusterOptions {
  /** with the ServiceAccount and the roles of the dashboard */
  dashboard?: boolean
}

/**
 * To be called at the top of a test file, for AVA's hooks.
 *
 * @returns the shared cluster with two fresh namespaces, which are there when the tests run
 */
export function useCluster(test: TestFn, options: ClusterOptions = {}): TestCluster {
  const cluster = newCluster(options)
  test.before('namespaces and roles', async () => {
    await cluster.ready()
    await noteNamespace(cluster.namespaces.broker, test.meta.file)
  })
  test.after.always('delete the namespaces', cluster.close)
  return cluster
}

/** Tells whoever reads the audit log whose namespace it is: see test/needed-permissions.ts. */
async function noteNamespace(namespace: string, url: string): Promise<void> {
  const file = join(dirname(process.env.TEST_CLUSTER ?? ''), 'namespaces.jsonl')
  const note: NamespaceNote = { namespace, file: fileURLToPath(url) }
  await appendFile(file, `${JSON.stringify(note)}\n`)
}

/** For hooks of one's own: `ready` has to be awaited before the first use, `close` called at the end. */
export function newCluster({ dashboard = false }: ClusterOptions = {}): TestCluster & {
  close(): Promise<void>
} {
  const shared = sharedCluster()
  const administrator = administratorOf(shared)
  const suffix = randomBytes(4).toString('hex')
  const namespaces = { broker: `broker-${suffix}`, databases: `databases-${suffix}` }
  const databasesPath = (plural: string) => collectionPath(plural, namespaces.databases)
  const roles = async () => {
    const writing = withholding(administrator, namespaces, process.env.WITHHELD_PERMISSION)
    await applyRoles(writing, namespaces, [...kinds.values()], 'functions')
    if (dashboard) await applyDashboardRoles(writing, namespaces, [...kinds.values()])
  }
  let applied: Promise<void> | undefined
  return {
    ...shared,
    ca: readFileSync(shared.caFile, 'utf8'),
    namespaces,
    ready() {
      applied ??= roles()
      return applied
    },
    async close() {
      for (const kind of kinds.values()) await administrator('DELETE', databasesPath(kind.plural))
      for (const plural of ['validatingadmissionpolicybindings', 'validatingadmissionpolicies']) {
        for (const what of ['functions', 'records', 'secrets', 'issuers']) {
          const policy = `${plural}/osb-${what}.${namespaces.broker}`
          await administrator('DELETE', `/apis/admissionregistration.k8s.io/v1/${policy}`)
        }
      }
      for (const name of Object.values(namespaces)) {
        await administrator('DELETE', `/api/v1/namespaces/${name}`)
      }
    },
    administrator,
    admin: requestsTo(shared),
    async as(serviceAccount) {
      const adminToken = await mintToken(shared, namespaces.broker, serviceAccount, 3600)
      return requestsTo({ ...shared, adminToken })
    },
    databasesPath,
    recordsPath: () => collectionPath('appbindings', namespaces.broker),
  }
}

/** @returns the same namespaces at another API server, where they and their roles are already */
export function atApiServer(
  like: TestCluster,
  plane: ControlPlane,
  administrator: Administrator,
): TestCluster {
  return {
    ...like,
    url: plane.url,
    caFile: plane.caFile,
    adminToken: plane.adminToken,
    kubeconfigFile: plane.kubeconfigFile,
    administrator,
    ca: readFileSync(plane.caFile, 'utf8'),
    ready: () => Promise.resolve(),
    admin: requestsTo(plane),
  }
}

function requestsTo(endpoint: Endpoint): TestCluster['admin'] {
  return async function request(method, path, body, patchType) {
    const answer = await ask(endpoint, method, path, body, patchType)
    return { status: answer.status, body: objectIn(answer.body), text: answer.body }
  }
}

/** @returns the JSON object that the text is, or an empty one */
export function objectIn(text: string): JsonObject {
  try {
    const result = v.safeParse(JsonObject, JSON.parse(text))
    return result.success ? result.output : {}
  } catch {
    return {}
  }
}

/** @returns what is at the path in a JSON value, e.g. `at(body, 'metadata', 'annotations')`; undefined if nothing is */
export function at(value: Json | undefined, ...path: (string | number)[]): Json | undefined {
  return path.reduce<Json | undefined>((inner, key) => {
    if (Array.isArray(inner)) return typeof key === 'number' ? inner.at(key) : undefined
    return isObject(inner) && Object.hasOwn(inner, key) ? inner[key] : undefined
  }, value)
}

/** @returns what a backup has of an object: none of what only the cluster that it lived in can say */
export function backupOf(object: JsonObject): JsonObject {
  return {
    apiVersion: at(object, 'apiVersion') ?? '',
    kind: at(object, 'kind') ?? '',
    metadata: {
      name: textAt(object, 'metadata', 'name'),
      labels: at(object, 'metadata', 'labels') ?? {},
      annotations: at(object, 'metadata', 'annotations') ?? {},
    },
    spec: at(object, 'spec') ?? {},
  }
}

/** @throws when there is no text at the path */
export function textAt(value: Json | undefined, ...path: (string | number)[]): string {
  const found = at(value, ...path)
  if (typeof found === 'string') return found
  throw new Error(`no text at ${path.join('.')} of ${JSON.stringify(value)}`)
}

function collectionPath(plural: string, namespace: string): string {
  const kind = [...kinds.values()].find((candidate) => candidate.plural === plural)
  const ops = [...kinds.values()].some((candidate) => candidate.opsPlural === plural)
  const root = kind
    ? `/apis/${kind.apiVersion}`
    : ops
      ? '/apis/ops.kubedb.com/v1alpha1'
      : plural === 'appbindings'
        ? '/apis/appcatalog.appscode.com/v1alpha1'
        : '/api/v1'
  return `${root}/namespaces/${namespace}/${plural}`
}
