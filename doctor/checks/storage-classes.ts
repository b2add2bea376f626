import * as v from 'valibot'
import { isObject, type Json } from '../../shared/values/json.ts'
import type { Plan } from '../../shared/values/nouns.ts'
import { broken, type Check, doubtful, type Finding } from '../examination.ts'
import { list } from '../kube.ts'

const isDefault = 'storageclass.kubernetes.io/is-default-class'
const StorageClass = v.object({
  metadata: v.object({
    name: v.string(),
    annotations: v.optional(v.record(v.string(), v.string()), {}),
  }),
  allowVolumeExpansion: v.optional(v.boolean(), false),
})

export const storageClasses: Check = {
  title: 'the cluster has the storage that plans ask for',
  async examine({ ask, services }) {
    const classes = (await list(ask, StorageClass, '/apis/storage.k8s.io/v1/storageclasses')) ?? []
    const standard = classes.find(({ metadata }) => metadata.annotations[isDefault] === 'true')
    const findings: Finding[] = []
    for (const service of services) {
      for (const plan of service.plans) {
        const where = `${service.name}/${plan.name}`
        const claims = claimsOf(plan.spec)
        const named = [
          ...claims.flatMap(({ name }) => name ?? []),
          ...(plan.parameters.storageClass?.enum ?? []),
        ]
        for (const name of new Set(named)) {
          if (classes.some(({ metadata }) => metadata.name === name)) continue
          findings.push(
            broken(
              `plan ${where} names the StorageClass ${name}, which is not in the cluster`,
              `make it, or name another one in the plan (\`kubectl get storageclasses\` lists them)`,
            ),
          )
        }
        const unnamed = claims.some(({ name }) => name === undefined)
        if (unnamed && !standard) {
          findings.push(
            broken(
              `plan ${where} names no StorageClass, and the cluster has no default one`,
              `mark one with \`kubectl annotate storageclass <name> ${isDefault}=true\`, or name one in the plan (spec…storage.storageClassName)`,
            ),
          )
        }
        if (!plan.parameters.storage) continue
        const used = new Set([...named, ...(unnamed && standard ? [standard.metadata.name] : [])])
        for (const { metadata, allowVolumeExpansion } of classes) {
          if (!used.has(metadata.name) || allowVolumeExpansion) continue
          findings.push(
            doubtful(
              `plan ${where} lets disks grow, which the StorageClass ${metadata.name} does not`,
              `\`kubectl patch storageclass ${metadata.name} -p '{"allowVolumeExpansion":true}'\` where its driver can, or take \`storage\` out of the plan's parameters`,
            ),
          )
        }
      }
    }
    return findings
  },
}

/** @returns every disk that a spec asks for, wherever in it */
export function claimsOf(spec: Plan['spec']): { name: string | undefined }[] {
  const found: { name: string | undefined }[] = []
  const walk = (value: Json) => {
    if (Array.isArray(value)) for (const one of value) walk(one)
    if (!isObject(value)) return
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'storage' && isObject(inner)) {
        const { storageClassName } = inner
        found.push({ name: typeof storageClassName === 'string' ? storageClassName : undefined })
      } else {
        walk(inner)
      }
    }
  }
  walk(spec)
  return found
}
