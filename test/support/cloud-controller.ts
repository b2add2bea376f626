/**
 * A stand-in for Cloud Controller: it answers one request, "Get permissions for a service instance" of Cloud Foundry's
 * API v3, as its documentation says, from a table.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'

export interface CloudController {
  url: string
  /** who may do what with which instance: `<user> <guid>` → the answer */
  permissions: Map<string, { manage: boolean; read: boolean }>
  /** every request, as `<status> <guid>` */
  answers: string[]
  /** from now on it answers this status alone; undefined: as it should */
  broken: number | undefined
  stop(): Promise<void>
}

/** @param userOf whose a token is; undefined where it is nobody's. A real one asks UAA */
export async function startCloudController(
  userOf: (token: string) => Promise<string | undefined>,
): Promise<CloudController> {
  const server = createServer(async (request, response) => {
    const answer = (status: number, guid: string, body: object) => {
      self.answers.push(`${status} ${guid}`)
      response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' })
      response.end(JSON.stringify(body))
    }
    const failure = (code: number, title: string, detail: string) => ({ errors: [{ code, title, detail }] })
    const [, guid = ''] = /^\/v3\/service_instances\/([^/]+)\/permissions$/.exec(request.url ?? '') ?? []
    if (self.broken !== undefined) {
      return answer(self.broken, guid, failure(10001, 'UnknownError', 'An unknown error occurred.'))
    }
    const [, token] = /^bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? []
    const user = token === undefined ? undefined : await userOf(token)
    if (user === undefined)
      return answer(401, guid, failure(1000, 'CF-InvalidAuthToken', 'Invalid Auth Token'))
    const found = self.permissions.get(`${user} ${guid}`)
    if (request.method !== 'GET' || !found) {
      return answer(404, guid, failure(10010, 'CF-ResourceNotFound', 'Service instance not found'))
    }
    answer(200, guid, found)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  const self: CloudController = {
    url: `http://127.0.0.1:${address.port}`,
    permissions: new Map(),
    answers: [],
    broken: undefined,
    async stop() {
      server.close()
      server.closeAllConnections()
    },
  }
  return self
}
