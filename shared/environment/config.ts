/** The configuration of a function: environment variables, read once at start. */
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { systemNamespaces } from './system-namespaces.ts'

export interface Config {
  port: number
  /** namespace of the broker's own records; empty only in a function that never talks to the cluster */
  brokerNamespace: string
  /** where databases go: one namespace for all, or the one that the request's context names */
  namespaces: { policy: 'fixed'; namespace: string } | { policy: 'context' }
  catalogFile: string
  usersFile: string
  /** how callers may authenticate; a token is reviewed by the API server, for this audience if there is one */
  authentication: { basic: boolean; bearer: boolean; audience: string | undefined }
  keysDirectory: string
  /** where databases can be reached; see Settings in shared/kubedb */
  databases: { addresses: 'cluster' | 'external'; nodeHost?: string }
  /** what PATCH does with `parameters`: `context` decides by the platform */
  updateParameters: 'context' | 'merge' | 'replace'
  /** status of last_operation after a finished delete */
  finishedDelete: 410 | 200
  /** whether bindings list `endpoints` */
  endpoints: boolean
  /** what the labels and annotations that users set begin with: `example.com` or `example.com/start` */
  metadataPrefixes: string[]
  /** seconds */
  retryAfter: number
  /** `url`: what the addresses of the dashboard begin with; undefined where there is none */
  dashboard: { url: string | undefined; directory: string }
  logLevel: LogLevel
  /** seconds within which all work of one request ends */
  requestBudget: number
  /** seconds after which no function can still be working on a request; more than requestBudget */
  abandonedAfter: number
  apiServer: { host: string; port: number }
  /** holds token, ca.crt and namespace */
  serviceAccountDirectory: string
}

export const logLevels = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof logLevels)[number]

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount'

/** @returns a schema of whole numbers in an environment variable */
export function whole(min: number, max: number) {
  const right = `must be a whole number from ${min} to ${max}`
  return v.pipe(
    v.string(right),
    v.regex(/^\d{1,9}$/, right),
    v.transform(Number),
    v.minValue(min, right),
    v.maxValue(max, right),
  )
}

function oneOf<const T extends readonly string[]>(...values: T) {
  return v.picklist(values, `must be ${values.join(' or ')}`)
}

/** A scheme of the web and a host, perhaps with a port. */
const origin = /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?\/?$/

const path = v.pipe(v.string(), v.startsWith('/', 'must be an absolute path'))
const flag = v.pipe(
  oneOf('true', 'false'),
  v.transform((text) => text === 'true'),
)
export const namespaceName = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of a namespace'),
)
/** A database beside these could reach what only its operator may touch. */
const databaseNamespace = v.pipe(
  namespaceName,
  v.check(
    (name) => !systemNamespaces.test(name),
    'must not be a namespace of Kubernetes, KubeDB, Knative or what serves them',
  ),
)
const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
/** What steers Kubernetes, KubeDB and this broker. */
const reservedName = /(^|\.)(kubernetes\.io|k8s\.io|kubedb\.com)$/
const prefixes = v.pipe(
  v.string(),
  v.transform((text) =>
    text
      .split(',')
      .map((part) => part.trim().replace(/\/$/, ''))
      .filter((part) => part !== ''),
  ),
  v.check(
    (list) =>
      list.every((prefix) => {
        const [domain = '', start = ''] = prefix.split(/\/(.*)/s)
        return (
          domain.length <= 253 &&
          dnsName.test(domain) &&
          !reservedName.test(domain) &&
          /^[\w.-]{0,63}$/.test(start)
        )
      }),
    'must be a comma-separated list of example.com or example.com/start, none of kubernetes.io, k8s.io, kubedb.com',
  ),
)

const Environment = v.pipe(
  v.object({
    PORT: v.pipe(v.optional(whole(1, 65535), '8080'), v.description('port that the function listens on')),
    BROKER_NAMESPACE: v.pipe(
      v.optional(namespaceName),
      v.description(
        'namespace of the records of the broker; by default the one in the mounted service account. Catalog does without',
      ),
    ),
    NAMESPACE_POLICY: v.pipe(
      v.optional(oneOf('fixed', 'context'), 'fixed'),
      v.description(
        'where databases go: `fixed`, all in DATABASE_NAMESPACE; `context`, in the namespace that the platform names, where the RoleBinding of the broker is',
      ),
    ),
    DATABASE_NAMESPACE: v.pipe(
      v.optional(databaseNamespace),
      v.description('namespace of all databases; required with NAMESPACE_POLICY=fixed'),
    ),
    CATALOG_FILE: v.pipe(
      v.optional(path, '/etc/broker/catalog/catalog.yaml'),
      v.description('the catalog; a changed file is read again'),
    ),
    USERS_FILE: v.pipe(
      v.optional(path, '/etc/broker/users/users.json'),
      v.description(
        'who may call: `[{"username", "password", "platform"}]`, platform `default` if absent; `{"tokensOf", "platform"}` names the platform of a bearer token\'s owner; a changed file is read again',
      ),
    ),
    AUTHENTICATION: v.pipe(
      v.optional(oneOf('basic', 'bearer', 'both'), 'basic'),
      v.description(
        'how callers authenticate: `basic`, with a user and password of USERS_FILE; `bearer`, with a token that the API server knows and whose owner may use the path; `both`',
      ),
    ),
    TOKEN_AUDIENCE: v.pipe(
      v.optional(v.pipe(v.string(), v.maxLength(253, 'must have 253 characters at most'))),
      v.description(
        'audience that a bearer token must be for; by default that of the API server. Set it: the broker then never holds a token that others would take',
      ),
    ),
    KEYS_DIRECTORY: v.pipe(
      v.optional(path, '/etc/broker/keys'),
      v.description('keys from which the passwords of bindings are derived, one file each, named by its id'),
    ),
    ADDRESSES: v.pipe(
      v.optional(oneOf('cluster', 'external'), 'cluster'),
      v.description(
        'addresses in credentials: inside the cluster, or outside through a load balancer for each database, or with NODE_HOST through node ports',
      ),
    ),
    NODE_HOST: v.pipe(
      v.optional(
        v.pipe(
          v.string(),
          v.regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be a host name or an address, without a port'),
        ),
      ),
      v.description(
        'name or address under which applications reach the nodes of the cluster: with ADDRESSES=external, databases get node ports there instead of load balancers',
      ),
    ),
    UPDATE_PARAMETERS: v.pipe(
      v.optional(oneOf('context', 'merge', 'replace'), 'context'),
      v.description(
        'what an update does with `parameters`: `merge` (JSON Merge Patch), `replace`, or `context`: replace for the platform kubernetes, else merge',
      ),
    ),
    FINISHED_DELETE: v.pipe(
      v.optional(
        v.pipe(
          oneOf('410', '200'),
          v.transform((text): 410 | 200 => (text === '410' ? 410 : 200)),
        ),
        '410',
      ),
      v.description('how last_operation answers once an instance or binding is deleted'),
    ),
    ENDPOINTS: v.pipe(
      v.optional(flag, 'false'),
      v.description('whether bindings list `endpoints`; some older platforms cannot read them'),
    ),
    METADATA_PREFIXES: v.pipe(
      v.optional(prefixes, ''),
      v.description(
        'what labels and annotations that users set must begin with: a comma list of `example.com` or `example.com/start`; empty: users set none',
      ),
    ),
    RETRY_AFTER: v.pipe(
      v.optional(whole(1, 3600), '5'),
      v.description('seconds that a platform is asked to wait between two polls'),
    ),
    DASHBOARD_URL: v.pipe(
      v.optional(
        v.pipe(
          v.string(),
          v.regex(origin, 'must be https:// or http:// and a host, and nothing after that'),
          v.transform((text) => text.replace(/\/$/, '')),
        ),
      ),
      v.description(
        'address under which people reach the dashboard, such as `https://broker.example.com`: answers then have a `dashboard_url` there. Set it only where the dashboard is deployed (docs/dashboard.md)',
      ),
    ),
    DASHBOARD_DIRECTORY: v.pipe(
      v.optional(path, '/etc/broker/dashboard'),
      v.description(
        'set-up of the dashboard: `settings.json`, `client.json`, `cookie-key`; changed files are read again',
      ),
    ),
    LOG_LEVEL: v.pipe(
      v.optional(v.picklist(logLevels, `must be ${logLevels.join(', ')}`), 'info'),
      v.description('least important level that is logged'),
    ),
    REQUEST_BUDGET: v.pipe(
      v.optional(whole(1, 290), '45'),
      v.description('seconds within which all work of one request ends'),
    ),
    ABANDONED_AFTER: v.pipe(
      v.optional(whole(2, 3600), '120'),
      v.description(
        'seconds after which a provision that got no further counts as abandoned; more than REQUEST_BUDGET',
      ),
    ),
    KUBERNETES_SERVICE_HOST: v.pipe(
      v.optional(
        v.pipe(v.string(), v.regex(/^[A-Za-z0-9.:_-]+$/, 'must be a host name or an address')),
        'kubernetes.default.svc',
      ),
      v.description('API server; set by Kubernetes in every pod'),
    ),
    KUBERNETES_SERVICE_PORT: v.pipe(
      v.optional(whole(1, 65535), '443'),
      v.description('port of the API server; set by Kubernetes in every pod'),
    ),
    SERVICE_ACCOUNT_DIRECTORY: v.pipe(
      v.optional(path, serviceAccount),
      v.description('where token, ca.crt and namespace of the service account are mounted'),
    ),
  }),
  v.forward(
    v.partialCheck(
      [['NAMESPACE_POLICY'], ['DATABASE_NAMESPACE']],
      (env) => env.NAMESPACE_POLICY !== 'fixed' || env.DATABASE_NAMESPACE !== undefined,
      'must name the namespace of the databases, or NAMESPACE_POLICY must be context',
    ),
    ['DATABASE_NAMESPACE'],
  ),
  v.forward(
    v.partialCheck(
      [['BROKER_NAMESPACE'], ['DATABASE_NAMESPACE']],
      (env) => env.DATABASE_NAMESPACE === undefined || env.DATABASE_NAMESPACE !== env.BROKER_NAMESPACE,
      "must not be the broker's own namespace",
    ),
    ['DATABASE_NAMESPACE'],
  ),
  v.forward(
    v.partialCheck(
      [['AUTHENTICATION'], ['TOKEN_AUDIENCE']],
      (env) => env.TOKEN_AUDIENCE === undefined || env.AUTHENTICATION !== 'basic',
      'must be left out with AUTHENTICATION=basic, which takes no tokens',
    ),
    ['TOKEN_AUDIENCE'],
  ),
  v.forward(
    v.partialCheck(
      [['ADDRESSES'], ['NODE_HOST']],
      (env) => env.NODE_HOST === undefined || env.ADDRESSES === 'external',
      'has no effect without ADDRESSES=external; set that too, or leave this out',
    ),
    ['NODE_HOST'],
  ),
  v.forward(
    v.partialCheck(
      [['REQUEST_BUDGET'], ['ABANDONED_AFTER']],
      (env) => env.ABANDONED_AFTER > env.REQUEST_BUDGET,
      'must be more than REQUEST_BUDGET',
    ),
    ['ABANDONED_AFTER'],
  ),
)

/** One row of docs/configuration.md. */
export interface Variable {
  name: string
  /** undefined: no default */
  default: string | undefined
  meaning: string
}

/** @returns every environment variable of a function, in the order of the docs */
export function variables(): Variable[] {
  return variablesOf(Environment.entries)
}

/** The schema of one variable, whose default is a text. */
export type Entry = v.GenericSchema & { default?: string | undefined }

/** @returns the schema of every environment variable of a function, by name */
export function environment(): { readonly [name: string]: Entry } {
  return Environment.entries
}

/** @returns the variables that a schema of an environment has */
export function variablesOf(entries: { readonly [name: string]: Entry }): Variable[] {
  return Object.entries(entries).map(([name, schema]) => ({
    name,
    default: schema.default,
    meaning: v.getDescription(schema) ?? '',
  }))
}

/** Everything that is wrong with the configuration. */
export class ConfigurationError extends Error {
  /** one sentence for each mistake */
  readonly mistakes: string[]

  constructor(mistakes: string[]) {
    super(mistakes.join('\n'))
    this.name = 'ConfigurationError'
    this.mistakes = mistakes
  }
}

/**
 * @param env the process's environment; an empty variable counts as absent
 * @param options.cluster whether the function talks to the API server, so that it has to know its namespace
 * @throws {ConfigurationError} listing every mistake
 */
export function loadConfig(
  env: NodeJS.ProcessEnv,
  options: { cluster: boolean } = { cluster: true },
): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const directory = given.SERVICE_ACCOUNT_DIRECTORY ?? serviceAccount
  given.BROKER_NAMESPACE ??= mountedNamespace(directory)
  const result = v.safeParse(Environment, given)
  const mistakes = mistakesIn(result.issues, given)
  if (options.cluster && given.BROKER_NAMESPACE === undefined) {
    mistakes.push(
      `BROKER_NAMESPACE is missing, and so is the file ${directory}/namespace: one of them must name the namespace of the broker`,
    )
  }
  if (!result.success || mistakes.length > 0) throw new ConfigurationError(mistakes)
  const set = result.output
  return {
    port: set.PORT,
    brokerNamespace: set.BROKER_NAMESPACE ?? '',
    namespaces:
      set.NAMESPACE_POLICY === 'fixed'
        ? { policy: 'fixed', namespace: set.DATABASE_NAMESPACE ?? '' }
        : { policy: 'context' },
    catalogFile: set.CATALOG_FILE,
    usersFile: set.USERS_FILE,
    authentication: {
      basic: set.AUTHENTICATION !== 'bearer',
      bearer: set.AUTHENTICATION !== 'basic',
      audience: set.TOKEN_AUDIENCE,
    },
    keysDirectory: set.KEYS_DIRECTORY,
    databases: {
      addresses: set.ADDRESSES,
      ...(set.NODE_HOST === undefined ? {} : { nodeHost: set.NODE_HOST }),
    },
    updateParameters: set.UPDATE_PARAMETERS,
    finishedDelete: set.FINISHED_DELETE,
    endpoints: set.ENDPOINTS,
    metadataPrefixes: set.METADATA_PREFIXES,
    retryAfter: set.RETRY_AFTER,
    dashboard: { url: set.DASHBOARD_URL, directory: set.DASHBOARD_DIRECTORY },
    logLevel: set.LOG_LEVEL,
    requestBudget: set.REQUEST_BUDGET,
    abandonedAfter: set.ABANDONED_AFTER,
    apiServer: { host: set.KUBERNETES_SERVICE_HOST, port: set.KUBERNETES_SERVICE_PORT },
    serviceAccountDirectory: set.SERVICE_ACCOUNT_DIRECTORY,
  }
}

/** @returns a sentence for each variable that is wrong */
export function mistakesIn(
  issues: readonly v.BaseIssue<unknown>[] | undefined,
  given: NodeJS.ProcessEnv,
): string[] {
  return (issues ?? []).map((issue) => {
    const name = v.getDotPath(issue) ?? ''
    const value = given[name]
    return `${name} is ${value === undefined ? 'missing' : JSON.stringify(value)}: ${issue.message}`
  })
}

/** @returns the pod's namespace; undefined where no service account is mounted */
function mountedNamespace(directory: string): string | undefined {
  try {
    return readFileSync(`${directory}/namespace`, 'utf8').trim()
  } catch {
    return undefined
  }
}

/**
 * For what a process makes once from its configuration.
 *
 * @returns a function that makes the value at its first call with a configuration, and gives the same one afterwards
 */
export function fromConfig<T>(make: (config: Config) => T): (config: Config) => T {
  const made = new WeakMap<Config, { value: T }>()
  return function given(config: Config): T {
    const known = made.get(config) ?? { value: make(config) }
    made.set(config, known)
    return known.value
  }
}
