/** Looks at everything, and says what is wrong and what a person does about it. */
import { kinds as known } from '../shared/kubedb/databases/kinds.ts'
import type { Service } from '../shared/osb/catalog/catalog.ts'
import { admissionPolicy } from './checks/admission-policy.ts'
import { configuration } from './checks/configuration.ts'
import { databases } from './checks/databases.ts'
import { functions } from './checks/functions.ts'
import { issuers } from './checks/issuers.ts'
import { issuersPolicy } from './checks/issuers-policy.ts'
import { kinds } from './checks/kinds.ts'
import { permissions } from './checks/permissions.ts'
import { plans } from './checks/plans.ts'
import { records } from './checks/records.ts'
import { route } from './checks/routes.ts'
import { secrets } from './checks/secrets.ts'
import { storageClasses } from './checks/storage-classes.ts'
import { versions } from './checks/versions.ts'
import { webhooks } from './checks/webhooks.ts'
import { type Check, doubtful, type Examination, type Finding } from './examination.ts'
import { NotAllowed } from './kube.ts'

/** In the order in which they matter: what comes first often explains what comes later. */
export const checks: readonly Check[] = [
  kinds,
  webhooks,
  versions,
  storageClasses,
  issuers,
  permissions,
  admissionPolicy,
  issuersPolicy,
  configuration,
  plans,
  secrets,
  functions,
  route,
  records,
  databases,
]

export interface Patient {
  ask: Examination['ask']
  broker: string
  databases: readonly string[]
  services: readonly Service[]
}

export interface Options {
  /** makes good what can be made good */
  repair: boolean
  /** gets the lines of the report */
  say: (line: string) => void
  /** milliseconds since the epoch; the present by default */
  now?: number
}

/**
 * @returns every finding that is left to be put right
 * @throws when the API server cannot be reached
 */
export async function examine(
  patient: Patient,
  { repair, say, now = Date.now() }: Options,
): Promise<Finding[]> {
  const offered = [...known.values()].filter(({ kind }) => patient.services.some((one) => one.kind === kind))
  const examination: Examination = { ...patient, kinds: offered, now }
  const left: Finding[] = []
  for (const check of checks) {
    const findings = await look(check, examination)
    if (findings.every(({ severity }) => severity === 'note')) say(`ok        ${check.title}`)
    for (const finding of findings) {
      if (repair && finding.repair) {
        say(`repaired  ${await finding.repair()}`)
        continue
      }
      if (finding.severity !== 'note') left.push(finding)
      say(`${finding.severity.padEnd(9)} ${finding.problem}`)
      say(`          → ${finding.cure}`)
    }
  }
  return left
}

async function look(check: Check, examination: Examination): Promise<Finding[]> {
  try {
    return await check.examine(examination)
  } catch (error) {
    if (!(error instanceof NotAllowed)) throw error
    return [
      doubtful(
        `not looked at, whether ${check.title}: ${error.message}`,
        'run this as somebody who may, such as an administrator of the cluster',
      ),
    ]
  }
}
