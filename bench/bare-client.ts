/** The least that it takes to ask the API server: kept-alive TLS, a token, the body as text. */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'

export interface BareClient {
  /** @throws when no complete answer comes within ten seconds */
  send(
    method: string,
    path: string,
    body: string,
    contentType: string,
  ): Promise<{ status: number; text: string }>
  close(): void
}

/** @param directory with `token` and `ca.crt` */
export function bareClient(server: URL, directory: string): BareClient {
  const token = readFileSync(join(directory, 'token'), 'utf8').trim()
  const agent = new Agent({ ca: readFileSync(join(directory, 'ca.crt')), keepAlive: true })
  return {
    send: (method, path, body, contentType) =>
      new Promise((resolve, reject) => {
        const outgoing = request(
          {
            host: server.hostname,
            port: server.port,
            agent,
            method,
            path,
            timeout: 10_000,
            headers: {
              authorization: `Bearer ${token}`,
              accept: 'application/json',
              ...(body !== '' && { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }),
            },
          },
          (incoming) => {
            const chunks: Buffer[] = []
            incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
            incoming.on('error', reject)
            incoming.on('end', () =>
              resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
            )
          },
        )
        outgoing.on('error', reject)
        outgoing.on('timeout', () =>
          outgoing.destroy(new Error(`${method} ${path}: no answer in ten seconds`)),
        )
        outgoing.end(body)
      }),
    close: () => agent.destroy(),
  }
}
