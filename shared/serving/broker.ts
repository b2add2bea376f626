/** From a request and the configuration to what the operations on databases need. */
import type { Context } from 'hono'
import { fromConfig } from '../environment/config.ts'
import { cluster } from '../kubedb/cluster/cluster.ts'
import type { Broker } from '../kubedb/records/broker.ts'
import { keysIn } from '../kubedb/records/keys.ts'
import type { Edge } from '../osb/edge/edge.ts'
import { apiServer } from './api-server.ts'

const keys = fromConfig((config) => keysIn(config.keysDirectory))

/** @returns the databases as this request may work on them: within its time, and while its caller is there */
export function brokerOf(c: Context<Edge>): Broker {
  const { config, signal, deadline } = c.var
  return {
    cluster: cluster(apiServer(config), { signal, deadline }),
    namespace: config.brokerNamespace,
    settings: config.databases,
    abandonedAfter: config.abandonedAfter * 1000,
    keys: keys(config),
  }
}
