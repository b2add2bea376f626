/** What the rules in front of every handler find out about a request, for the handlers and for each other. */
import type { Config } from '../../environment/config.ts'
import type { Connection } from '../../http/listener.ts'
import type { Caller } from '../../values/nouns.ts'

/** The user of the platform on whose behalf it calls (OSB: Originating Identity). */
export interface OriginatingIdentity {
  /** as in `context.platform` */
  platform: string
  /** the platform's id or name of the user; empty if it sent neither */
  user: string
}

/** What the middlewares have put beside a request by the time its handler runs. */
export interface Edge {
  /** absent when Hono is called without a server */
  Bindings: Partial<Connection>
  Variables: {
    config: Config
    caller: Caller
    /** decoded and checked; empty in the catalog function, whose path has none */
    instanceId: string
    /** decoded and checked; empty where the path has none */
    bindingId: string
    originatingIdentity: OriginatingIdentity | undefined
    /** X-Broker-API-Request-Identity */
    requestIdentity: string | undefined
    /** aborts when the client has gone away or the deadline has passed; its reason is a BrokerError */
    signal: AbortSignal
    /** milliseconds since the epoch */
    deadline: number
  }
}
