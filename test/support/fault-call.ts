/** One outbound call of a function as the fault proxies see it, and what may be done to it. */

/** A request to the API server, the opening of an engine's connection, or a statement on it. */
export interface Call {
  to: 'api' | 'engine'
  /** HTTP method; `CONNECT` or `QUERY` for an engine */
  verb: string
  /** path with query; for an engine its host, or the statement */
  target: string
  /** what was sent, as text; '' for none */
  body: string
  /** ServiceAccount of the caller, `osb-bind`; '' for an engine, which does not learn it */
  account: string
  /** HTTP status of the answer, once there is one; 0 before, and always for an engine */
  status: number
  /** whether it leaves everything as it was */
  reads: boolean
}

/** What becomes of a call, or of its answer. */
export type Fault =
  /** answered in the API server's stead, as a Status; an engine's connection is reset instead */
  | { answer: 409 | 429 | 500 | 503 }
  /** the connection breaks */
  | 'reset'
  /** nothing more is heard on the connection */
  | 'hang'

/** The two points of every call. Each may take its time: the call, or its answer, waits. */
export interface Interference {
  /** before the call is forwarded; a fault means that it never is */
  before?(call: Call): Promise<Fault | undefined> | Fault | undefined
  /** after its answer came, before it is relayed; a fault means that the answer is lost */
  after?(call: Call): Promise<Fault | undefined> | Fault | undefined
}

/** @returns the name of an object without what differs from run to run */
function kindOfName(name: string): string {
  const prefix = /^osb-[ib]-/.exec(name)
  if (prefix) return prefix[0].slice(0, -1)
  // the database, its Secret and Service, its OpsRequests; those for users have a number, and their Secret a UID
  return name
    .replace(
      /^osb-([0-9a-f-]{36}|[a-z2-7]{26})(-[a-z2-7]{12}(?=-\d))?/,
      (_, __, operation: string | undefined) => (operation === undefined ? 'db' : 'ops'),
    )
    .replace(/^db-users-[0-9a-f]+$/, 'db-users')
}

/**
 * @returns a call in words that are the same in every run: `POST appbindings`, `GET postgreses/db`,
 *   `PATCH postgreses/db dry-run`, `QUERY CREATE ROLE …`
 */
export function shapeOf(call: Call): string {
  if (call.to === 'engine') {
    if (call.verb === 'CONNECT') return 'CONNECT'
    const statement = call.target
      .replace(/\bb[a-z2-7]{26}\b/g, 'user')
      .replace(/SCRAM-SHA-256\$[^']*|'\*[0-9A-F]{40}'|'\$A\$(?:[^'\\]|\\.|'')*'/gs, 'verifier')
      .replace(/DATABASE "[^"]*"/g, 'DATABASE')
      .replace(/\b\d{5,}\b/g, 'N')
      .replace(/\s+/g, ' ')
      .trim()
    return `QUERY ${statement.slice(0, 120)}`
  }
  const [path = '', query = ''] = call.target.split('?')
  // Objects of the whole cluster have no namespace in their path: /apis/<group>/<version>/<plural>/<name>.
  const [, rest = path] =
    /\/namespaces\/[^/]+\/(.*)$/.exec(path) ?? /^\/apis\/[^/]+\/[^/]+\/(.*)$/.exec(path) ?? []
  const [plural = '', name] = rest.split('/')
  const label = /labelSelector=([^&]*)/.test(query) ? ' by label' : ''
  const record = /osb\.kubedb\.com\/(binding|instance)"/.exec(call.body)?.[1]
  const what =
    plural === 'appbindings' && name === undefined && call.verb === 'POST' ? ` of ${record ?? '?'}` : ''
  return `${call.verb} ${plural}${name === undefined ? '' : `/${kindOfName(name)}`}${what}${label}${query.includes('dryRun=All') ? ' dry-run' : ''}`
}
