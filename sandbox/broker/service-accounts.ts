import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { writtenKinds } from '../../generate/admission/written-kinds.ts'
import { admissionPolicies, functionsPolicies } from '../../generate/admission-policy.ts'
import { namespace } from '../../generate/rbac.ts'
import {
  brokerRoles,
  databaseRoles,
  type KindResources,
  type Namespaces,
  nameOf,
  serviceAccounts,
  versionRoles,
} from '../../generate/roles.ts'
import { dashboardRoutes, type ProgramName, routes } from '../../shared/routes.ts'
import { type Administrator, apply } from '../control-plane/administrator.ts'
import { granted } from '../control-plane/request.ts'
import { writePrivateFile } from '../machine/atomic-file.ts'

/**
 * Namespaces, ServiceAccounts, Roles, RoleBindings and the admission policy: the same objects as in knative/. May be
 * repeated.
 *
 * @param policies `functions`: those of the kinds are there already, for every broker in the cluster
 */
export async function applyRoles(
  administrator: Administrator,
  namespaces: Namespaces,
  kinds: readonly KindResources[],
  policies: 'all' | 'functions' = 'all',
): Promise<void> {
  const make = policies === 'all' ? admissionPolicies : functionsPolicies
  await apply(administrator, [namespace(namespaces.broker), namespace(namespaces.databases)])
  await Promise.all([
    apply(administrator, serviceAccounts(namespaces)),
    apply(administrator, brokerRoles(namespaces)),
    apply(administrator, databaseRoles(namespaces, kinds)),
    // Several brokers may be in one cluster; these have no namespace.
    apply(
      administrator,
      versionRoles(namespaces, kinds, (route) => `${nameOf(route)}.${namespaces.broker}`),
    ),
    apply(administrator, make(namespaces, writtenKinds(), `.${namespaces.broker}`)),
  ])
}

/** The same for the dashboard. May be repeated. */
export async function applyDashboardRoles(
  administrator: Administrator,
  namespaces: Namespaces,
  kinds: readonly KindResources[],
): Promise<void> {
  const rows = dashboardRoutes.slice(0, 1)
  await apply(administrator, [
    ...serviceAccounts(namespaces, rows),
    ...brokerRoles(namespaces, rows),
    ...databaseRoles(namespaces, kinds, rows),
  ])
}

export interface MountOptions {
  administrator: Administrator
  /** where the ServiceAccounts are */
  namespace: string
  /** PEM: what makes the API server trusted */
  ca: string
  /** receives a folder for each function */
  directory: string
  /** functions that may do nothing get a folder too: they have to ask about the tokens of callers */
  all?: boolean
  /** whether the dashboard gets one */
  dashboard?: boolean
  /** gets a sentence when a token could not be renewed */
  log: (line: string) => void
}

/** Folders as a pod has them: `token`, `ca.crt`, `namespace`. */
export interface Mounts {
  /** @returns the folder; it does not exist for a function that may do nothing, as in its pod */
  directory(name: ProgramName): string
  /** Renews no more. */
  stop(): void
}

/** Seconds that a token is valid; it is renewed when half of them are over. */
const lifetime = 3600

/** How often the clock is looked at, in milliseconds: a machine that slept wakes with tokens long past. */
const watch = 30_000

/**
 * Mints a token for every ServiceAccount and keeps it valid.
 *
 * @throws when a ServiceAccount is not there
 */
export async function mountServiceAccounts(options: MountOptions): Promise<Mounts> {
  const { administrator, ca, log } = options
  const directory = (name: ProgramName) => join(options.directory, name)
  const renew = async () => {
    const accounts = [
      ...routes.filter((route) => options.all || Object.keys(route.permissions).length > 0),
      ...(options.dashboard ? dashboardRoutes.slice(0, 1) : []),
    ]
    await Promise.all(
      accounts.map(async (route) => {
        const token = await mint(administrator, options.namespace, nameOf(route))
        const folder = directory(route.function)
        await mkdir(folder, { recursive: true, mode: 0o700 })
        await writePrivateFile(join(folder, 'ca.crt'), ca)
        await writePrivateFile(join(folder, 'namespace'), options.namespace)
        await writePrivateFile(join(folder, 'token'), token)
      }),
    )
  }
  await renew()
  let renewed = Date.now()
  const timer = setInterval(() => {
    if (Date.now() - renewed < (lifetime * 1000) / 2) return
    const before = renewed
    renewed = Date.now()
    renew().catch((error) => {
      renewed = before
      log(`tokens could not be renewed, trying again: ${error instanceof Error ? error.message : error}`)
    })
  }, watch)
  timer.unref()
  return { directory, stop: () => clearInterval(timer) }
}

const TokenRequest = v.object({ status: v.object({ token: v.string() }) })

async function mint(administrator: Administrator, namespace: string, name: string): Promise<string> {
  const answer = await administrator(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: lifetime },
    },
  )
  return granted(TokenRequest, `token for ServiceAccount ${namespace}/${name}`, answer).status.token
}
