import * as v from 'valibot'
import { nameOf } from '../../generate/roles.ts'
import { routes } from '../../shared/routes.ts'
import { type Check, doubtful, type Finding } from '../examination.ts'
import { list } from '../kube.ts'

const Policy = v.object({
  metadata: v.object({ name: v.string() }),
  spec: v.object({ matchConditions: v.optional(v.array(v.object({ expression: v.string() })), []) }),
})
const Binding = v.object({
  spec: v.object({ policyName: v.string(), validationActions: v.optional(v.array(v.string()), []) }),
})
const api = '/apis/admissionregistration.k8s.io/v1'

/** What roles cannot say. */
export const admissionPolicy: Check = {
  title: 'a policy bounds what the functions may write',
  async examine({ ask, broker }) {
    const policies = (await list(ask, Policy, `${api}/validatingadmissionpolicies`)) ?? []
    const bindings = (await list(ask, Binding, `${api}/validatingadmissionpolicybindings`)) ?? []
    const inForce = policies.filter(({ metadata }) =>
      bindings.some(
        ({ spec }) => spec.policyName === metadata.name && spec.validationActions.includes('Deny'),
      ),
    )
    return routes.map(nameOf).flatMap((name): Finding[] => {
      const account = `system:serviceaccount:${broker}:${name}`
      const isBound = inForce.some(({ spec }) =>
        spec.matchConditions.some(({ expression }) => expression.includes(`"${account}"`)),
      )
      if (isBound) return []
      return [
        doubtful(
          `no policy in force bounds what ServiceAccount ${name} writes, whatever code runs under it`,
          'apply knative/base/230-admission-policy.yaml',
        ),
      ]
    })
  },
}
