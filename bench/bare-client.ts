/** The least that it takes to ask a server: kept-alive TLS, an Authorization header, the body as text. */
import { Agent, request } from 'node:https'

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

/** @param ca PEM */
export function bareClient(
  server: URL,
  { ca, authorization }: { ca: string; authorization: string },
): BareClient {
  const agent = new Agent({ ca, keepAlive: true })
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
              authorization,
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
