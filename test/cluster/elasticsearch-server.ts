/** Real OpenSearch servers for tests, as themselves or behind the front that speaks as Elasticsearch. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { opensearchEngine } from '../../sandbox/engines/opensearch.ts'
import type { Instance, Running } from '../../sandbox/engines/parts/engine.ts'
import { ask } from '../../sandbox/engines/parts/request.ts'
import { openLoopbackAddresses } from '../../sandbox/machine/loopback.ts'
import type { Admin } from '../../shared/kubedb/databases/database.ts'
import type { Json } from '../../shared/values/json.ts'
import { adminOf } from '../support/admin.ts'

export const products = { OpenSearch: 'opensearch-2.19.2', Elasticsearch: 'xpack-9.2.3' } as const
export type Product = keyof typeof products

/** hostile to URLs, headers and JSON */
export const password = 'Of the administrator: "\'\\ü%'

export interface Server {
  readonly product: Product
  readonly instance: Instance
  readonly running: Running
  readonly url: string
  /** what a bind would pass to `connect` */
  admin(changes?: Partial<Admin>): Admin
  /** @returns status and parsed body of a request as the administrator or the user given */
  request(
    method: string,
    path: string,
    body?: Json,
    as?: { name: string; password: string },
  ): Promise<{ status: number; body: unknown }>
}

/** One folder for all servers of a test file. */
export class SearchServers {
  #home: Promise<string> | undefined
  readonly #started: Server[] = []

  async home(): Promise<string> {
    this.#home ??= mkdtemp(join(tmpdir(), 'search-')).then(async (folder) => {
      await chmod(folder, 0o755)
      return folder
    })
    return this.#home
  }

  async instance(product: Product, changes: Partial<Instance> = {}): Promise<Instance> {
    const name = changes.name ?? `test/${product.toLowerCase()}`
    const addresses = await openLoopbackAddresses(join(await this.home(), `${name.replace('/', '_')}.json`))
    return {
      name,
      volume: 'first',
      address: await addresses.addressOf(name, 9200),
      username: product === 'OpenSearch' ? 'admin' : 'elastic',
      password,
      config: '',
      spec: { version: products[product] },
      ...changes,
    }
  }

  async start(product: Product, changes: Partial<Instance> = {}): Promise<Server> {
    const instance = await this.instance(product, changes)
    const running = await opensearchEngine(await this.home()).start(instance)
    const { address, username, tls } = instance
    const scheme = tls ? 'https' : 'http'
    const url = `${scheme}://${address}:9200`
    const server: Server = {
      product,
      instance,
      running,
      url,
      admin: (more) =>
        adminOf({
          host: address,
          port: 9200,
          scheme,
          username,
          password: instance.password,
          caBundle: tls?.ca,
          spec: instance.spec,
          ...more,
        }),
      request: async (method, path, body, as = { name: username, password: instance.password }) => {
        const { status, text } = await ask(`${url}${path}`, {
          method,
          login: { user: as.name, password: as.password },
          ca: tls?.ca,
          ...(body === undefined ? {} : { body }),
        })
        try {
          return { status, body: JSON.parse(text) }
        } catch {
          return { status, body: text }
        }
      },
    }
    this.#started.push(server)
    return server
  }

  async stop(): Promise<void> {
    await Promise.all(this.#started.map(({ running }) => running.stop()))
    if (this.#home !== undefined) await rm(await this.#home, { recursive: true, force: true })
  }
}
