import { randomUUID } from 'node:crypto'
import { issuersPolicyName } from '../../generate/admission-policy.ts'
import { nameOf } from '../../generate/roles.ts'
import type { Draft } from '../../shared/kubedb/cluster/cluster.ts'
import { BrokerError } from '../../shared/values/errors.ts'
import { isObject } from '../../shared/values/json.ts'
import { broken, type Check, type Examination } from '../examination.ts'
import { settingsOf } from '../settings.ts'
import { trialsOf } from '../trials.ts'
import { verdictOf } from '../verdict.ts'

/** No catalog can name it: names of objects have no underscores. */
const foreign = { apiGroup: 'cert-manager.io', kind: 'Issuer', name: 'named_by_nobody' }

/**
 * The policy about issuers reads the catalog's ConfigMap, and an API server that cannot find it lets every issuer in. So
 * databases with a foreign one are tried, as other plans are, until one comes as far as the policy.
 */
export const issuersPolicy: Check = {
  title: 'functions may use no issuers of certificates but those of the catalog',
  async examine(examination) {
    const { ask, broker, kinds, services, databases } = examination
    const settings = await settingsOf(examination)
    const [namespace] = databases
    if (!settings || namespace === undefined) return []
    for (const service of services) {
      const kind = kinds.find((one) => one.kind === service.kind)
      if (!kind?.parameters.includes('tls')) continue
      for (const plan of service.plans) {
        const path = `/apis/${kind.apiVersion}/namespaces/${namespace}/${kind.plural}?dryRun=All`
        for (const draft of draftsOf(() => trialsOf(plan, kind, randomUUID(), namespace, settings))) {
          const body = {
            ...draft,
            spec: { ...(isObject(draft.spec) ? draft.spec : {}), tls: { issuerRef: foreign } },
          }
          const account = { namespace: broker, name: nameOf({ function: 'provision' }) }
          const verdict = verdictOf(await ask('POST', path, body, account))
          if (verdict.by === 'policy' && verdict.policy.startsWith(issuersPolicyName)) return []
          if (verdict.by === 'nobody') return [lost(examination)]
        }
      }
    }
    return []
  },
}

/** Plans that cannot be tried are told of elsewhere. */
function draftsOf(trials: () => { draft: Draft }[]): Draft[] {
  try {
    return trials().map(({ draft }) => draft)
  } catch (error) {
    if (error instanceof BrokerError) return []
    throw error
  }
}

const lost = ({ broker }: Examination) =>
  broken(
    'the policy about issuers of certificates is not in force: functions may use any issuer',
    `apply knative/base/230-admission-policy.yaml, and the catalog as ConfigMap osb-catalog in namespace ${broker}; where both are there, restart the API servers`,
  )
