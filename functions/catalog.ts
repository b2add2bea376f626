import { unchanged } from '../shared/osb/messages/entity-tag.ts'
import { serve } from '../shared/serving/serve.ts'
import { currentCatalog } from '../shared/wishes/catalog.ts'

/** GET /v2/catalog (OSB: Catalog Management). Makes no API call. */
await serve('catalog', async function catalog(c) {
  const { config } = c.var
  const current = await currentCatalog(config)
  const { body, etag } =
    config.dashboard.url === undefined
      ? current
      : await (await import('../shared/dashboard/catalog-clients.ts')).withClients(config, current)
  if (unchanged(c.req.header('If-None-Match'), etag)) return c.body(null, 304, { ETag: etag })
  return c.body(body, 200, { 'Content-Type': 'application/json', ETag: etag })
})
