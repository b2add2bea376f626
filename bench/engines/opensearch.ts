import { type Agent, ClientRequest, OutgoingMessage } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import * as v from 'valibot'
import { offerOf } from '../../test/support/offers.ts'
import { type BareClient, bareClient } from '../bare-client.ts'
import { type Driver, Ear, hearing } from '../talk.ts'
import { withUsersAndDisk } from './engine.ts'

/** What the broker's requests look like. */
const Sent = v.object({
  agent: v.instance(TlsAgent),
  host: v.string(),
})
const Headers = v.looseObject({ authorization: v.string(), 'content-type': v.optional(v.string(), '') })

/** The broker speaks HTTP by itself: Node's own client is its driver, and an agent what other drivers call a client. */
const driver: Driver = {
  async listen(user, act) {
    const ear = new Ear<Agent, BareClient>(async (client) => client.close())
    const { end } = OutgoingMessage.prototype
    const methods = {
      end(this: OutgoingMessage, content: unknown, ...rest: unknown[]): unknown {
        if (this instanceof ClientRequest) hear(ear, this, typeof content === 'string' ? content : '')
        return Reflect.apply(end, this, [content, ...rest])
      },
    }
    await hearing(OutgoingMessage.prototype, methods, act)
    return ear.talk(user)
  },
}

function hear(ear: Ear<Agent, BareClient>, request: ClientRequest, content: string): void {
  const { agent } = v.parse(Sent, request)
  const { authorization, 'content-type': type } = v.parse(Headers, request.getHeaders())
  const { method, path } = request
  if (!ear.knows(agent)) {
    const server = new URL(`https://${request.getHeader('host')}`)
    ear.connects(agent, async () => bareClient(server, { ca: String(agent.options.ca), authorization }))()
  }
  const answered = ear.says(agent, async (client, rename) => {
    const { status, text } = await client.send(method, rename(path), rename(content), type)
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${text}`)
  })
  request.once('response', (response) => response.once('end', answered))
}

export const opensearch = withUsersAndDisk('OpenSearch', offerOf('elasticsearch', 'opensearch-small'), driver)
