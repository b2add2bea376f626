import * as v from 'valibot'
import { nameOf } from '../../generate/roles.ts'
import { routes } from '../../shared/routes.ts'
import { type Check, doubtful, type Finding } from '../examination.ts'
import { list } from '../kube.ts'

const Policy = v.object({
  metadata: v.object({ name: v.string() }),
  spec: v.object({
    matchConstraints: v.optional(
      v.object({ resourceRules: v.optional(v.array(v.object({ resources: v.array(v.string()) })), []) }),
      { resourceRules: [] },
    ),
    matchConditions: v.optional(v.array(v.object({ expression: v.string() })), []),
  }),
})
const Binding = v.object({
  spec: v.object({ policyName: v.string(), validationActions: v.optional(v.array(v.string()), []) }),
})
const api = '/apis/admissionregistration.k8s.io/v1'

/** What roles cannot say. */
export const admissionPolicy: Check = {
  title: 'policies bound what the functions may write',
  async examine({ ask, broker, kinds }) {
    const policies = (await list(ask, Policy, `${api}/validatingadmissionpolicies`)) ?? []
    const bindings = (await list(ask, Binding, `${api}/validatingadmissionpolicybindings`)) ?? []
    const inForce = policies.filter(({ metadata }) =>
      bindings.some(
        ({ spec }) => spec.policyName === metadata.name && spec.validationActions.includes('Deny'),
      ),
    )
    // Others are about a part of what is written there.
    const bounded = (name: string, resource: string) =>
      inForce.some(
        ({ spec }) =>
          spec.matchConstraints.resourceRules.length > 0 &&
          spec.matchConstraints.resourceRules.every(
            ({ resources: [only, ...others] }) => only === resource && others.length === 0,
          ) &&
          spec.matchConditions.some(({ expression }) =>
            expression.includes(`"system:serviceaccount:${broker}:${name}"`),
          ),
      )
    const cure = 'apply knative/base/230-admission-policy.yaml'
    const names = routes.map(nameOf)
    return [
      ...names.flatMap((name): Finding[] =>
        bounded(name, '*/*')
          ? []
          : [
              doubtful(
                `no policy in force bounds what ServiceAccount ${name} writes, whatever code runs under it`,
                cure,
              ),
            ],
      ),
      ...kinds.flatMap(({ kind, plural, opsKind, opsPlural }): Finding[] =>
        [
          { what: kind, resource: plural },
          { what: opsKind, resource: opsPlural },
        ].flatMap(({ what, resource }) =>
          names.every((name) => bounded(name, resource))
            ? []
            : [doubtful(`no policy in force bounds what functions write into a ${what}`, cure)],
        ),
      ),
    ]
  },
}
