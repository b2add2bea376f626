/** The configuration of the edge router: environment variables, read once at start. */
import * as v from 'valibot'
import {
  ConfigurationError,
  type Entry,
  type LogLevel,
  logLevels,
  mistakesIn,
  namespaceName,
  type Variable,
  variablesOf,
  whole,
} from '../environment/config.ts'

export interface RouterConfig {
  port: number
  /** `http://` + host + optional port, with `{function}` in the host */
  functionUrl: string
  /** seconds from a request's arrival to the end of its answer */
  timeout: number
  /** whether there is a dashboard beside the functions */
  dashboard: boolean
  logLevel: LogLevel
}

const functionUrl = 'http://osb-{function}.{namespace}.svc.cluster.local'

const Environment = v.object({
  PORT: v.pipe(v.optional(whole(1, 65535), '8080'), v.description('port that the router listens on')),
  BROKER_NAMESPACE: v.pipe(namespaceName, v.description('namespace of the functions')),
  FUNCTION_URL: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(
          /^http:\/\/[a-z0-9.-]*\{function\}[a-z0-9.{}-]*(:\d{1,5})?$/,
          'must be http:// and a host with {function} in it, perhaps {namespace}, perhaps a port',
        ),
      ),
      functionUrl,
    ),
    v.description('where a function is found; `{function}` and `{namespace}` stand for their names'),
  ),
  ROUTER_TIMEOUT: v.pipe(
    v.optional(whole(1, 600), '58'),
    v.description("seconds from a request's arrival to the end of its answer, cold start included"),
  ),
  DASHBOARD_URL: v.pipe(
    v.optional(v.string()),
    v.description('as of the functions: where it is set, the router leads to the dashboard too'),
  ),
  LOG_LEVEL: v.pipe(
    v.optional(v.picklist(logLevels, `must be ${logLevels.join(', ')}`), 'info'),
    v.description('least important level that is logged'),
  ),
})

/** @returns the schema of every environment variable of the router, by name */
export function routerEnvironment(): { readonly [name: string]: Entry } {
  return Environment.entries
}

/** @returns every environment variable of the router, in the order of the docs */
export function routerVariables(): Variable[] {
  return variablesOf(Environment.entries)
}

/**
 * @param env the process's environment; an empty variable counts as absent
 * @throws {ConfigurationError} listing every mistake
 */
export function loadRouterConfig(env: NodeJS.ProcessEnv): RouterConfig {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const result = v.safeParse(Environment, given)
  if (!result.success) throw new ConfigurationError(mistakesIn(result.issues, given))
  const set = result.output
  return {
    port: set.PORT,
    functionUrl: set.FUNCTION_URL.replaceAll('{namespace}', set.BROKER_NAMESPACE),
    timeout: set.ROUTER_TIMEOUT,
    dashboard: set.DASHBOARD_URL !== undefined,
    logLevel: set.LOG_LEVEL,
  }
}
