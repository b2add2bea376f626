/** What the edge router adds: an empty server behind it, and the same one without it, in turn. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Latency, latencyOf } from './latency.ts'
import type { Operation } from './operations.ts'
import { type ServerProcess, startServer, type Wish } from './server-process.ts'
import { resolving, type Site } from './site.ts'

/**
 * @param server answers any GET with 200
 * @returns `operation` through the router, `bare` without it
 */
export async function edgeOf(
  site: Site,
  server: ServerProcess,
  count: number,
  limit: number,
): Promise<Latency> {
  const resolver = join(site.directory, 'edge-names.cjs')
  await writeFile(resolver, resolving({ 'osb-catalog.bench.svc.': '127.0.0.1' }))
  const wish: Wish = { method: 'GET', path: '/v2/catalog' }
  const { server: router } = await startServer(
    {
      ...site.program('catalog'),
      name: 'edge-router',
      file: join(site.directory, 'functions/edge-router/index.js'),
      environment: {
        BROKER_NAMESPACE: 'bench',
        FUNCTION_URL: `http://osb-{function}.{namespace}.svc:${server.port}`,
        LOG_LEVEL: 'warn',
        NODE_OPTIONS: `--require=${resolver}`,
      },
    },
    wish,
  )
  try {
    const operation: Operation = {
      name: 'catalog',
      engine: 'PostgreSQL',
      status: 200,
      prepare: () => wish,
      done: () => undefined,
    }
    const bare = {
      prepare: async () => undefined,
      act: async () => void (await server.send(wish)),
      settle: async () => undefined,
      close: () => undefined,
    }
    return await latencyOf(site, operation, router, bare, count, limit)
  } finally {
    await router.stop()
  }
}
