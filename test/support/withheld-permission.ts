/** Roles without one permission of the route map, for seeing what misses it: see test/needed-permissions.ts. */
import * as v from 'valibot'
import { type Namespaces, nameOf, resourcesOf } from '../../generate/roles.ts'
import type { Administrator } from '../../sandbox/control-plane/administrator.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { allPermissions, rows, wordsOf } from './used-permissions.ts'

const RoleLike = v.looseObject({
  kind: v.picklist(['Role', 'ClusterRole']),
  metadata: v.looseObject({ name: v.string(), namespace: v.optional(v.string()) }),
  rules: v.array(
    v.object({
      apiGroups: v.array(v.string()),
      resources: v.array(v.string()),
      verbs: v.array(v.string()),
    }),
  ),
})

/**
 * @param words the permission, as `wordsOf` says it; undefined withholds none
 * @returns an administrator who takes the permission out of every role of the broker that it writes
 * @throws when the route map has no such permission
 */
export function withholding(
  administrator: Administrator,
  namespaces: Namespaces,
  words: string | undefined,
): Administrator {
  if (words === undefined) return administrator
  const withheld = allPermissions().find((permission) => wordsOf(permission) === words)
  const route = rows.find((candidate) => candidate.function === withheld?.function)
  const [, target] =
    Object.entries(resourcesOf([...kinds.values()])).find(([name]) => name === withheld?.target) ?? []
  if (!withheld || !route || !target) throw new Error(`the route map has no permission "${words}"`)
  const namespace = target.place === 'cluster' ? undefined : namespaces[target.place]
  return (method, path, body, patchType) => {
    const { success, output } = v.safeParse(RoleLike, body)
    const named = success && output.metadata.name.split('.')[0] === nameOf(route)
    if (!named || output.metadata.namespace !== namespace) return administrator(method, path, body, patchType)
    const rules = output.rules.map((rule) =>
      rule.apiGroups.includes(target.group) && target.resources.every((one) => rule.resources.includes(one))
        ? { ...rule, verbs: rule.verbs.filter((verb) => verb !== withheld.verb) }
        : rule,
    )
    // A rule without a verb is refused.
    const left = rules.filter((rule) => rule.verbs.length > 0)
    return administrator(method, path, { ...output, rules: left }, patchType)
  }
}
