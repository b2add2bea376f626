/** Credentials as the pages show them: made by the code that makes them for a binding, of an example of a database. */
import type { Database, Reach } from '../shared/kubedb/databases/database.ts'
import { credentialsOf } from '../shared/kubedb/databases/parts/library-keys.ts'
import { targetOf } from '../shared/kubedb/instances/target.ts'
import type { JsonObject } from '../shared/values/json.ts'
import type { Plan } from '../shared/values/nouns.ts'

/** Stands for a certificate in PEM. */
const certificate = '-----BEGIN CERTIFICATE-----…'

/** @returns where an example of the plan is reached */
export function exampleReach(kind: Database, plan: Plan, encrypted: boolean): Reach {
  const tls = { issuers: { internal: { kind: 'Issuer' as const, name: 'internal-ca' } } }
  const wish = {
    plan: encrypted ? { ...plan, parameters: { ...plan.parameters, tls } } : plan,
    kind,
    sent: {},
    checked: { version: plan.version, ...(encrypted ? { tls: 'internal' } : {}) },
    version: plan.version,
    maintenance: plan.maintenanceVersion,
  }
  const { spec } = targetOf(wish, { addresses: 'cluster', instance: 'an-id' }).resolved
  const place = { name: 'osb-example', namespace: 'databases', spec }
  const host = `${place.name}.${place.namespace}.svc`
  return {
    ...place,
    scheme: '',
    host,
    port: 0,
    external: false,
    hosts: kind.hosts?.(place) ?? [host],
    database: kind.databaseName?.default ?? '',
    // As KubeDB publishes what PostgreSQL is asked for.
    query: typeof spec.sslMode === 'string' ? `sslmode=${spec.sslMode}` : '',
    caBundle: encrypted ? certificate : undefined,
  }
}

/** @returns what a binding of an example of the plan is given */
export const exampleCredentials = (kind: Database, plan: Plan, encrypted = false): JsonObject =>
  credentialsOf(kind, exampleReach(kind, plan, encrypted), { name: 'USER', password: 'PASSWORD' })

/** @returns what differs where the database speaks TLS; undefined where it never does */
export function encryptedDifference(
  kind: Database,
  plan: Plan,
): { there: JsonObject; without: string[] } | undefined {
  if (!kind.parameters.includes('tls')) return undefined
  const plain = exampleCredentials(kind, plan)
  const encrypted = exampleCredentials(kind, plan, true)
  const there = Object.entries(encrypted).filter(
    ([key, value]) => JSON.stringify(plain[key]) !== JSON.stringify(value),
  )
  return {
    there: Object.fromEntries(there),
    without: Object.keys(plain).filter((key) => !(key in encrypted)),
  }
}

/** @returns the object as a page shows it; its port is the Service's, which only the cluster knows */
export const shown = (credentials: JsonObject): string =>
  JSON.stringify(credentials, null, 2).replaceAll('"port": 0', '"port": PORT').replaceAll(':0', ':PORT')

/**
 * @param page may have marks like `<!-- credentials: redis large-ha -->` before a block of JSON: service and plan, and
 *   `tls` where the database is to speak it
 * @returns the page with what such bindings get in those blocks; undefined where it has no mark
 */
export function withCredentials(
  page: string,
  offers: readonly { name: string; kind: Database; plans: readonly Plan[] }[],
): string | undefined {
  const mark = /(<!-- credentials: (\S+) (\S+)( tls)? -->\n\n```json\n)[\s\S]*?(\n```)/g
  let marks = 0
  const filled = page.replaceAll(
    mark,
    (_, before: string, name: string, planName: string, tls, after: string) => {
      marks += 1
      const offer = offers.find((one) => one.name === name)
      const plan = offer?.plans.find((one) => one.name === planName)
      if (!offer || !plan) throw new Error(`no service ${name} has a plan ${planName}`)
      const credentials = exampleCredentials(offer.kind, plan, tls !== undefined)
      return `${before}${shown({ credentials })}${after}`
    },
  )
  return marks === 0 ? undefined : filled
}
