import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Json } from '../../../shared/values/json.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface Ask {
  readonly method?: string
  readonly login?: { readonly user: string; readonly password: string }
  /** a whole header in place of a login */
  readonly authorization?: string | undefined
  readonly body?: Json
  /** PEM of the CA, for https */
  readonly ca?: string | undefined
}

/** One request on a connection of its own. Throws when there is no answer within half a minute. */
export function ask(url: string, { method = 'GET', login, authorization, body, ca }: Ask): Promise<Answer> {
  const basic = login && `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`
  const authentication = authorization ?? basic
  const send = url.startsWith('https:') ? httpsRequest : httpRequest
  const content = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      {
        method,
        agent: false,
        signal: AbortSignal.timeout(30_000),
        headers: {
          ...(authentication === undefined ? {} : { authorization: authentication }),
          // Said, because Node frames no body of a DELETE by itself.
          ...(content === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
        },
        ...(ca === undefined ? {} : { ca }),
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part) => {
          text += part
        })
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        )
      },
    )
    request.on('error', reject)
    request.end(content)
  })
}
