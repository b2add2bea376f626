import * as v from 'valibot'
import { defaultNamespaces } from '../generate/rbac.ts'
import { get } from './kubectl.ts'
import { check } from './steps.ts'

const { broker, databases } = defaultNamespaces
const Names = v.object({ items: v.array(v.object({ metadata: v.object({ name: v.string() }) })) })

/** @throws when a record, a database or a volume is left */
export async function assertNothingLeft(): Promise<void> {
  for (const [kind, namespace] of [
    ['appbindings', broker],
    ['appbindings', databases],
    ['postgreses', databases],
    ['persistentvolumeclaims', databases],
  ] as const) {
    const { items } = await get(Names, [kind, '-n', namespace])
    check(items.length === 0, `${kind} are left: ${items.map(({ metadata }) => metadata.name).join(', ')}`)
  }
}
