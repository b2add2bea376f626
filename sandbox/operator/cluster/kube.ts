/** Speaking with the API server, and the objects in it as the operator reads them. */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import * as v from 'valibot'

/** An answer of the API server that is not a success, or no answer. */
export class KubeError extends Error {
  override readonly name = 'KubeError'
  /** The HTTP status, 0 where there was no answer. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }

  /** Whether the same request may succeed in a moment. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 409 || this.status === 429 || this.status >= 500
  }
}

/** One resource of the API, as its paths need it. */
export interface Resource {
  /** `api/v1`, or `apis/<group>/<version>`. */
  readonly api: string
  readonly plural: string
}

/** Where an object is; `namespace` is absent for cluster-scoped resources. */
export interface Place {
  readonly namespace?: string
  readonly name: string
}

/** An object to create. */
export interface NewObject {
  readonly metadata: Place & { readonly [key: string]: unknown }
  readonly [key: string]: unknown
}

const statusSchema = v.looseObject({ message: v.optional(v.string(), '') })
const listSchema = v.looseObject({
  metadata: v.looseObject({ resourceVersion: v.string() }),
  items: v.array(v.unknown()),
})

export interface ListOptions {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

/**
 * The few calls the operator makes. Every method throws {@link KubeError} when there is no answer or
 * one outside 2xx (404 excepted where it says so).
 */
export class Kube {
  readonly config: KubeConfig
  readonly #server: URL
  readonly #agent: Agent
  readonly #headers: Record<string, string>

  private constructor(config: KubeConfig, server: URL, agent: Agent, headers: Record<string, string>) {
    this.config = config
    this.#server = server
    this.#agent = agent
    this.#headers = headers
  }

  /** Reads a kubeconfig with a token or a client certificate. Throws when it names no cluster. */
  static async fromFile(kubeconfigFile: string): Promise<Kube> {
    const config = new KubeConfig()
    config.loadFromString(readFileSync(kubeconfigFile, 'utf8'))
    const cluster = config.getCurrentCluster()
    if (!cluster) throw new Error(`${kubeconfigFile} has no current cluster: set current-context`)
    const options: import('node:https').RequestOptions = {}
    await config.applyToHTTPSOptions(options)
    const { ca, cert, key } = options
    const headers = v.parse(v.record(v.string(), v.string()), options.headers ?? {})
    const agent = new Agent({ keepAlive: true, maxSockets: 32, ca, cert, key })
    return new Kube(config, new URL(cluster.server), agent, headers)
  }

  /** The object, or `undefined` where there is none. */
  async get<S extends v.GenericSchema>(
    schema: S,
    resource: Resource,
    place: Place,
  ): Promise<v.InferOutput<S> | undefined> {
    try {
      return v.parse(schema, await this.#send('GET', pathOf(resource, place)))
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined
      throw error
    }
  }

  /** All objects that the selectors choose, and the version of the list, from which a watch goes on. */
  async list<S extends v.GenericSchema>(
    schema: S,
    resource: Resource,
    options: ListOptions = {},
  ): Promise<{ items: v.InferOutput<S>[]; resourceVersion: string }> {
    const { namespace, ...selectors } = options
    const query = new URLSearchParams(selectors).toString()
    const list = v.parse(listSchema, await this.#send('GET', `${collectionOf(resource, namespace)}?${query}`))
    return {
      items: list.items.map((item) => v.parse(schema, item)),
      resourceVersion: list.metadata.resourceVersion,
    }
  }

  /** Creates an object; answers whether it did: `false` when one of that name exists. */
  async create(resource: Resource, object: NewObject): Promise<boolean> {
    try {
      await this.#send('POST', collectionOf(resource, object.metadata.namespace), object)
      return true
    } catch (error) {
      if (error instanceof KubeError && error.status === 409) return false
      throw error
    }
  }

  /** Dry run of a create: throws what a real one would. */
  async tryCreate(resource: Resource, object: NewObject): Promise<void> {
    await this.#send('POST', `${collectionOf(resource, object.metadata.namespace)}?dryRun=All`, object)
  }

  /** JSON merge patch without resourceVersion, as KubeDB's operator does it; answers the result. */
  async patch<S extends v.GenericSchema>(
    schema: S,
    resource: Resource,
    place: Place,
    change: object,
    subresource?: 'status',
  ): Promise<v.InferOutput<S>> {
    const path = pathOf(resource, place) + (subresource ? `/${subresource}` : '')
    return v.parse(schema, await this.#send('PATCH', path, change))
  }

  /** Deletes an object in the background; fine when it is gone already. */
  async delete(resource: Resource, place: Place): Promise<void> {
    try {
      await this.#send('DELETE', pathOf(resource, place), { propagationPolicy: 'Background' })
    } catch (error) {
      if (!(error instanceof KubeError && error.status === 404)) throw error
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(method: string, path: string, body?: object): Promise<unknown> {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    return new Promise((resolve, reject) => {
      const noAnswer = (error: Error) => reject(new KubeError(0, `${method} ${path}: ${error.message}`))
      const sent = request(
        new URL(path, this.#server),
        {
          method,
          agent: this.#agent,
          headers: {
            ...this.#headers,
            accept: 'application/json',
            'user-agent': 'kubedb-operator-stand-in',
            // Node gives the body of a DELETE no length by itself.
            ...(text === undefined
              ? {}
              : { 'content-type': type, 'content-length': Buffer.byteLength(text) }),
          },
          timeout: 30_000,
        },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', noAnswer)
          answer.on('end', () => {
            const content = Buffer.concat(chunks).toString('utf8')
            const status = answer.statusCode ?? 0
            if (status >= 200 && status < 300) resolve(JSON.parse(content))
            else reject(new KubeError(status, messageOf(content)))
          })
        },
      )
      sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path} within 30 s`)))
      sent.on('error', noAnswer)
      sent.end(text)
    })
  }
}

/** The message of a Status; other answers (an unknown path, a proxy) are text. */
function messageOf(text: string): string {
  if (!text.startsWith('{')) return text.trim()
  return v.parse(statusSchema, JSON.parse(text)).message
}

/** `/apis/<group>/<version>[/namespaces/<namespace>]/<plural>`. */
export function collectionOf(resource: Resource, namespace?: string): string {
  const inNamespace = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`
  return `/${resource.api}${inNamespace}/${resource.plural}`
}

function pathOf(resource: Resource, place: Place): string {
  return `${collectionOf(resource, place.namespace)}/${encodeURIComponent(place.name)}`
}
