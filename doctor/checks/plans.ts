import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { issuersPolicyName } from '../../generate/admission-policy.ts'
import { nameOf } from '../../generate/roles.ts'
import type { Database } from '../../shared/kubedb/databases/database.ts'
import { BrokerError } from '../../shared/values/errors.ts'
import { JsonObject } from '../../shared/values/json.ts'
import { broken, type Check, doubtful, type Examination, type Finding } from '../examination.ts'
import { inTurns, list } from '../kube.ts'
import { settingsOf } from '../settings.ts'
import { type Trial, trialsOf } from '../trials.ts'
import { type Verdict, verdictOf } from '../verdict.ts'
import { claimsOf } from './storage-classes.ts'

/** A plan, tried in a namespace with some parameters. */
interface Attempt extends Trial {
  plan: string
  kind: Database
  namespace: string
}

const maker = nameOf({ function: 'provision' })

/**
 * KubeDB's webhooks have no side effects: what is written with `dryRun=All` is completed and judged by them, then by
 * every policy, and nothing is made. It is written in the name of the function that provisions, as far as whoever looks
 * may do that: the policy is about functions only.
 */
export const plans: Check = {
  title: 'KubeDB and the policy let through every plan, with the least and the most, and every version',
  async examine(examination) {
    const settings = await settingsOf(examination)
    // That functions do not start with it is said elsewhere.
    if (!settings) return []
    const findings: Finding[] = []
    const attempts: Attempt[] = []
    for (const service of examination.services) {
      const kind = examination.kinds.find((one) => one.kind === service.kind)
      if (!kind) continue
      for (const plan of service.plans) {
        for (const namespace of examination.databases) {
          const name = `${service.name}/${plan.name}`
          try {
            const trials = trialsOf(plan, kind, randomUUID(), namespace, settings)
            attempts.push(...trials.map((trial) => ({ ...trial, plan: name, kind, namespace })))
          } catch (error) {
            if (!(error instanceof BrokerError)) throw error
            findings.push(
              broken(
                `plan ${name} cannot be made with all that it offers: ${error.message}`,
                'narrow its parameters',
              ),
            )
          }
        }
      }
    }
    const there = await theirs(examination)
    const tried = await inTurns(attempts.filter(there), async (attempt) => ({
      attempt,
      verdict: await attemptAs(examination, attempt),
    }))
    return [...findings, ...told(tried)]
  },
}

const Named = v.object({
  metadata: v.object({ name: v.string() }),
  spec: v.optional(v.object({ deprecated: v.optional(v.boolean(), false) }), { deprecated: false }),
})

/** @returns whether the cluster has what an attempt names: what is missing is said elsewhere, once */
async function theirs({ ask, kinds }: Examination): Promise<(attempt: Attempt) => boolean> {
  const classes = (await list(ask, Named, '/apis/storage.k8s.io/v1/storageclasses')) ?? []
  const versions = new Map<string, Set<string>>()
  for (const { kind, versionsPlural } of kinds) {
    const found = (await list(ask, Named, `/apis/catalog.kubedb.com/v1alpha1/${versionsPlural}`)) ?? []
    versions.set(
      kind,
      new Set(found.filter(({ spec }) => !spec.deprecated).map(({ metadata }) => metadata.name)),
    )
  }
  return ({ kind, draft }) => {
    const { spec } = v.parse(
      v.object({ spec: v.intersect([JsonObject, v.object({ version: v.string() })]) }),
      draft,
    )
    const known = versions.get(kind.kind)?.has(spec.version) ?? false
    return (
      known &&
      claimsOf(spec).every(
        ({ name }) => name === undefined || classes.some((one) => one.metadata.name === name),
      )
    )
  }
}

type Tried = { attempt: Attempt; verdict: Verdict & { asFunction: boolean } }

async function attemptAs(
  { ask, broker }: Examination,
  { kind, namespace, draft }: Attempt,
): Promise<Tried['verdict']> {
  const path = `/apis/${kind.apiVersion}/namespaces/${namespace}/${kind.plural}?dryRun=All&fieldValidation=Strict`
  const account = { namespace: broker, name: maker }
  const verdict = verdictOf(await ask('POST', path, draft, account))
  if (verdict.by !== 'authorizer') return { ...verdict, asFunction: true }
  return { ...verdictOf(await ask('POST', path, draft)), asFunction: false }
}

/** One sentence for each reason, not one for each trial. */
function told(tried: readonly Tried[]): Finding[] {
  const findings = new Map<string, { finding: (plans: string) => Finding; plans: Map<string, string[]> }>()
  const note = (key: string, { plan, words }: Attempt, finding: (plans: string) => Finding) => {
    const entry = findings.get(key) ?? { finding, plans: new Map<string, string[]>() }
    const known = entry.plans.get(plan) ?? []
    if (!known.includes(words)) entry.plans.set(plan, [...known, words])
    findings.set(key, entry)
  }
  for (const { attempt, verdict } of tried) {
    const own = (text: string) => text.replaceAll(attempt.draft.metadata.name, '<name>')
    switch (verdict.by) {
      case 'nobody':
      case 'absence':
        break
      case 'KubeDB': {
        const why = own(verdict.why)
        note(why, attempt, (plans) =>
          broken(
            `KubeDB on this cluster refuses plan ${plans}: ${why}`,
            'correct spec or parameters of the plan in the catalog; what needs another release of KubeDB, its release notes say',
          ),
        )
        break
      }
      case 'policy': {
        const { policy } = verdict
        const why = own(verdict.why)
        note(`${policy} ${why}`, attempt, (plans) =>
          broken(
            `the policy ${policy} stops what KubeDB makes of plan ${plans}: ${why}`,
            policy.startsWith(issuersPolicyName)
              ? 'apply this catalog: functions may use the issuers of ConfigMap osb-catalog alone; where it names them, restart the API servers'
              : 'apply knative/base/230-admission-policy.yaml of this version of the broker again; where that is in force, this release of KubeDB writes what the broker does not know yet',
          ),
        )
        break
      }
      case 'schema': {
        const why = own(verdict.why)
        note(why, attempt, (plans) =>
          broken(
            `the CRD of ${attempt.kind.kind} on this cluster does not take plan ${plans}: ${why}`,
            'correct the spec of the plan in the catalog, or bring KubeDB to the release that has the field',
          ),
        )
        break
      }
      case 'webhook away':
        note('webhook away', attempt, (plans) =>
          broken(
            `KubeDB's webhooks cannot be asked about plan ${plans}: ${own(verdict.why)}`,
            "look at the pods of KubeDB's webhook server",
          ),
        )
        break
      case 'namespace':
        note(verdict.why, attempt, (plans) =>
          broken(
            `namespace ${attempt.namespace} does not take plan ${plans}: ${own(verdict.why)}`,
            'make the namespace, or raise its quota',
          ),
        )
        break
      case 'authorizer':
        note('authorizer', attempt, (plans) =>
          doubtful(
            `not tried, whether KubeDB takes plan ${plans}: ${own(verdict.why)}`,
            'run this as somebody who may create databases, such as an administrator: nothing is made',
          ),
        )
        break
    }
    if (!verdict.asFunction && verdict.by !== 'authorizer') {
      note('as function', attempt, (plans) =>
        doubtful(
          `not tried, whether the policy lets through what KubeDB makes of plan ${plans}: ServiceAccount ${maker} may not create it, or whoever looks may not act in its name`,
          `run this as somebody who may impersonate ServiceAccount ${maker}, such as an administrator`,
        ),
      )
    }
  }
  return [...findings.values()].map(({ finding, plans }) =>
    finding([...plans].map(([plan, words]) => `${plan} (${words.join('; ')})`).join(', ')),
  )
}
