/**
 * Where people are those of a Cloud Foundry, the catalog says by which client the dashboard signs them in: Cloud
 * Controller makes it in UAA when the broker is registered.
 */
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import type { Config } from '../environment/config.ts'
import type { Catalog } from '../osb/catalog/catalog.ts'
import { JsonObject } from '../values/json.ts'
import { readRegistration } from './settings.ts'

const Body = v.looseObject({ services: v.array(v.looseObject({ name: v.string() })) })

/**
 * Cloud Foundry wants an entry for each service, no id twice. All sign-ins go by the first: which service an instance is
 * of, its address does not tell.
 *
 * @returns the answer to GET /v2/catalog
 * @throws {BrokerError} Misconfigured
 */
export async function withClients(config: Config, catalog: Catalog): Promise<Pick<Catalog, 'body' | 'etag'>> {
  const { settings, client, base } = await readRegistration(config)
  if (settings.cloudController === undefined) return catalog
  const { services, ...rest } = v.parse(Body, JSON.parse(catalog.body))
  const body = JSON.stringify({
    ...rest,
    services: services.map(
      (service, index): JsonObject => ({
        ...v.parse(JsonObject, service),
        dashboard_client: {
          id: index === 0 ? client.id : `${client.id}-${service.name}`,
          secret: client.secret,
          redirect_uri: `${base}/dashboard/callback`,
        },
      }),
    ),
  })
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` }
}
