import * as v from 'valibot'
import { nameOf } from '../../generate/roles.ts'
import { routes } from '../../shared/routes.ts'
import { configurationMap, dashboardCure, dashboardName, functionsOf } from '../configuration-map.ts'
import { broken, type Check, type Finding } from '../examination.ts'
import { list } from '../kube.ts'

const Conditions = v.optional(
  v.array(v.object({ type: v.string(), status: v.string(), message: v.optional(v.string(), '') })),
  [],
)
const Service = v.object({
  metadata: v.object({ name: v.string() }),
  status: v.optional(v.object({ conditions: Conditions }), { conditions: [] }),
})
const Named = v.object({ metadata: v.object({ name: v.string() }) })

const baseCure = 'apply knative/base/300-services.yaml'

/** The functions run, as Knative Services, or as plain Deployments where there is no Knative; the dashboard likewise. */
export const functions: Check = {
  title: 'the ten functions are deployed',
  async examine({ ask, broker }) {
    const names = functionsOf(await configurationMap({ ask, broker })).map(nameOf)
    const deployments = (await list(ask, Named, `/apis/apps/v1/namespaces/${broker}/deployments`)) ?? []
    const lacking = names.filter((name) => !deployments.some(({ metadata }) => metadata.name === name))
    const isPlain = routes.map(nameOf).every((name) => !lacking.includes(name))
    if (isPlain) {
      return lacking.map((name) =>
        broken(`Deployment ${name} is missing in namespace ${broker}`, dashboardCure),
      )
    }
    const services = await list(ask, Service, `/apis/serving.knative.dev/v1/namespaces/${broker}/services`)
    if (!services) {
      return [
        broken(
          'Knative Serving is not in this cluster: nothing runs the functions',
          'install Knative Serving (https://knative.dev/docs/install/), then apply knative/',
        ),
      ]
    }
    const findings: Finding[] = []
    const missing = names.filter((name) => !services.some(({ metadata }) => metadata.name === name))
    const cures = [...new Set(missing.map((name) => (name === dashboardName ? dashboardCure : baseCure)))]
    if (missing.length > 0) {
      findings.push(
        broken(
          `Knative Services are missing in namespace ${broker}: ${missing.join(', ')}`,
          cures.join('; '),
        ),
      )
    }
    for (const { metadata, status } of services) {
      const ready = status.conditions.find(({ type }) => type === 'Ready')
      if (!names.includes(metadata.name) || ready?.status !== 'False') continue
      findings.push(
        broken(
          `Knative Service ${metadata.name} is not ready: ${ready.message}`,
          `\`kubectl describe ksvc ${metadata.name} -n ${broker}\` says more: often an image that cannot be pulled, or a Secret that is not there`,
        ),
      )
    }
    return findings
  },
}
