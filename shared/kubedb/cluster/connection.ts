/** One way to the API server for a whole process: kept-alive TLS, the ServiceAccount's token re-read as it rotates. */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'

export interface ConnectionSettings {
  host: string
  port: number
  /** folder with `token` and `ca.crt`, as Kubernetes mounts it */
  serviceAccountDirectory: string
}

export interface Reply {
  status: number
  /** seconds, from Retry-After */
  retryAfter: number | undefined
  body: string
}

export interface Connection {
  /**
   * @param timeout milliseconds until the request is given up
   * @throws when no complete answer came
   */
  send(
    method: string,
    path: string,
    body: string | undefined,
    contentType: string,
    timeout: number,
  ): Promise<Reply>
}

/** How the broker's requests are known in the API server's audit log. */
export const userAgent = 'kubedb-service-broker'

/** Kubernetes rotates the token under a running process. */
const tokenLifetime = 60_000

/**
 * @returns a connection that is opened at its first request
 */
export function connect(settings: ConnectionSettings): Connection {
  let token: { value: string; read: number } | undefined
  let agent: Agent | undefined

  const file = (name: string) => readFileSync(join(settings.serviceAccountDirectory, name), 'utf8')

  const currentToken = (): string => {
    if (!token || Date.now() - token.read > tokenLifetime) {
      token = { value: file('token').trim(), read: Date.now() }
    }
    return token.value
  }

  const currentAgent = (): Agent => {
    // No socket idles longer than most load balancers before an API server keep it.
    agent ??= new Agent({
      ca: file('ca.crt'),
      keepAlive: true,
      maxSockets: 16,
      timeout: 60_000,
      scheduling: 'lifo',
    })
    return agent
  }

  return {
    async send(method, path, body, contentType, timeout) {
      const bearer = currentToken()
      const through = currentAgent()
      return new Promise<Reply>((resolve, reject) => {
        const outgoing = request(
          {
            host: settings.host,
            port: settings.port,
            agent: through,
            method,
            path,
            headers: {
              authorization: `Bearer ${bearer}`,
              accept: 'application/json',
              // In the audit log of a cluster: what asks, beside the ServiceAccount that may.
              'user-agent': userAgent,
              ...(body === undefined
                ? {}
                : { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }),
            },
          },
          (incoming) => {
            const chunks: Buffer[] = []
            incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
            incoming.on('error', reject)
            incoming.on('aborted', () => reject(new Error('the API server closed the connection')))
            incoming.on('end', () => {
              const seconds = /^\d{1,4}$/.exec(incoming.headers['retry-after'] ?? '')?.[0]
              resolve({
                status: incoming.statusCode ?? 0,
                retryAfter: seconds === undefined ? undefined : Number(seconds),
                body: Buffer.concat(chunks).toString('utf8'),
              })
            })
          },
        )
        const alarm = setTimeout(
          () => outgoing.destroy(new Error('the API server did not answer in time')),
          timeout,
        )
        outgoing.on('error', reject)
        outgoing.on('close', () => clearTimeout(alarm))
        outgoing.end(body)
      })
    },
  }
}
