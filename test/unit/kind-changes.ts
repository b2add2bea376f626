/** Specs as the broker builds them, and what it takes to get from one to another: for the tests of every kind. */
import test from 'ava'
import type { Database, Reach, Wanted } from '../../shared/kubedb/databases/database.ts'
import { planUpdate } from '../../shared/kubedb/instances/planner.ts'
import type { Resolved } from '../../shared/kubedb/records/instance-record.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { shippedPlan } from '../support/shipped-catalog.ts'
import type { Steps } from './kind-steps.ts'

const inside = { addresses: 'cluster', instance: '6f0a1c6e' } as const
/** A disk of a database. */
export const claim = (size: string) => ({
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: size } },
})
export const issuer = { kind: 'ClusterIssuer', name: 'internal-ca' } as const
export const issuerRef = { apiGroup: 'cert-manager.io', ...issuer }
export const other = { kind: 'Issuer', name: 'own-ca' } as const

/** Declares the tests that a kind's file has in common with those of the others. */
export function testsOf(kind: Database, service: string) {
  /** @returns what is asked of KubeDB for a plan of the shipped catalog, at its version unless the parameters say so */
  function asked(name: string, wanted: Partial<Wanted> = {}): Resolved {
    const shipped = shippedPlan(service, name)
    const spec = shipped.kind.build(shipped.plan.spec, { version: shipped.plan.version, ...wanted }, inside)
    return { spec, database: 'app', labels: {}, annotations: {} }
  }

  /** @returns the steps as `type, body` or the path's spec, or the reason why there is no way */
  function planned(had: Resolved, wanted: Resolved, live: JsonObject = had.spec): Steps | string {
    const plan = planUpdate(kind, { had, wanted, unfinished: [], live })
    switch (plan.kind) {
      case 'nothing':
        return []
      case 'impossible':
        return plan.reason
      case 'steps':
        return plan.steps.flatMap(({ change }) =>
          change.by === 'opsRequest' ? [change.type, change.body] : [change.spec],
        )
    }
  }

  return {
    asked,
    planned,

    /** What is changed → what there was, what is wanted, and the steps that lead there. */
    testChanges(rows: Record<string, [had: Resolved, wanted: Resolved, steps: Steps]>): void {
      for (const [what, [had, wanted, steps]] of Object.entries(rows)) {
        test(`a change of ${what}`, (t) => {
          t.deepEqual(planned(had, wanted), steps)
        })
      }
    },

    /** What cannot be changed → what there was, what is wanted, and the reason. */
    testNoWay(rows: Record<string, [had: Resolved, wanted: Resolved, reason: RegExp]>): void {
      for (const [what, [had, wanted, reason]] of Object.entries(rows)) {
        test(`no way: ${what}`, (t) => {
          t.regex(String(planned(had, wanted)), reason)
        })
      }
    },
  }
}

/** @returns how one dimension of a spec becomes that of another */
export function changeOf(kind: Database, name: string, now: JsonObject, wanted: JsonObject) {
  const dimension = kind.dimensions.find((one) => one.name === name)
  if (!dimension) throw new Error(`there is no dimension ${name}`)
  return dimension.change(dimension.read(now), dimension.read(wanted))
}

/** What no database can be built of → the spec of the plan, what is wanted, and the message. */
export function testRefused(
  kind: Database,
  version: string,
  rows: Record<string, [plan: JsonObject, wanted: object, message: RegExp]>,
): void {
  for (const [what, [plan, wanted, message]] of Object.entries(rows)) {
    test(`refused: ${what}`, (t) => {
      t.throws(() => kind.build(plan, { version, ...wanted }, inside), { name: 'BrokerError', message })
    })
  }
}

/** @returns where a database is reached: over a Service of its own, unencrypted, unless something else is said */
export function reachIn(namespace: string, more: Partial<Reach>): Reach {
  const host = `osb-x.${namespace}.svc`
  return {
    name: 'osb-x',
    namespace,
    spec: {},
    scheme: 'tcp',
    host,
    external: false,
    hosts: [host],
    port: 0,
    database: '',
    query: '',
    caBundle: undefined,
    ...more,
  }
}

/** @returns the pods of three servers, by the names that they have in their cluster */
export function threePods(namespace: string): string[] {
  return [0, 1, 2].map((ordinal) => `osb-x-${ordinal}.osb-x-pods.${namespace}.svc`)
}

/** Names, passwords and databases that would break a URI put together carelessly. */
export const hostile = [
  ['buser', 'plain', 'app'],
  ['b@:/?#[]', 'p@ss:w/rd?#&=+%25 ü\\\'"', 'my-db'],
  ['%41', '%%', 'x_y'],
  [' ', "!*'();:@&=+$,/?#[]", 'a'],
] as const
