/** Where databases go. */
import type { Config } from '../environment/config.ts'
import { systemNamespaces } from '../environment/system-namespaces.ts'
import { BrokerError } from '../values/errors.ts'
import type { JsonObject } from '../values/json.ts'

const name = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/**
 * Where the database of a new instance goes (OSB: Context Object).
 *
 * @throws {BrokerError} BadRequest naming what is wrong with `context.namespace`
 */
export function databaseNamespace(config: Config, context: JsonObject): string {
  if (config.namespaces.policy === 'fixed') return config.namespaces.namespace
  const { namespace } = context
  if (typeof namespace !== 'string' || !name.test(namespace)) {
    throw new BrokerError(
      'BadRequest',
      'context.namespace: must be the name of the Kubernetes namespace that the database goes into',
    )
  }
  if (systemNamespaces.test(namespace) || namespace === config.brokerNamespace) {
    throw new BrokerError(
      'BadRequest',
      `context.namespace: no databases are made in ${namespace}; use a namespace of your own`,
    )
  }
  return namespace
}
