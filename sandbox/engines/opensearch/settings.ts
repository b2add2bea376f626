/** The files that a server is configured with. Pure. */
import * as v from 'valibot'
import { parse, stringify } from 'yaml'
import { isObject, type Json, JsonObject } from '../../../shared/values/json.ts'
import { storePassword } from './distribution.ts'

/** Who speaks to clients: OpenSearch itself, or the front that speaks as Elasticsearch. */
export type Dialect = 'opensearch' | 'xpack'

/** The sandbox's own user, which makes the administrator's password true again. */
export const steward = 'kubedb-sandbox'

export interface ServerSettings {
  readonly dialect: Dialect
  /** name of the database */
  readonly name: string
  readonly folder: string
  readonly address: string
  readonly port: number
  /** certificate files lie beside opensearch.yml */
  readonly https: boolean
  /** the user's elasticsearch.yml */
  readonly config: string
}

/**
 * @returns opensearch.yml
 * @throws {Error} when the user's settings are no YAML mapping
 */
export function serverFile(settings: ServerSettings): string {
  const { dialect, name, folder, address, port, https, config } = settings
  const store = (which: 'keystore' | 'truststore', file: string) => ({
    [`plugins.security.ssl.transport.${which}_type`]: 'PKCS12',
    [`plugins.security.ssl.transport.${which}_filepath`]: file,
    [`plugins.security.ssl.transport.${which}_password`]: storePassword,
  })
  const defaults = {
    'cluster.name': name,
    'node.name': `${name}-0`,
    // a sandbox shares the machine's disk
    'cluster.routing.allocation.disk.threshold_enabled': false,
    'node.store.allow_mmap': false,
    ...store('keystore', 'node.p12'),
    ...store('truststore', 'trust.p12'),
    'plugins.security.ssl.transport.enforce_hostname_verification': false,
    'plugins.security.nodes_dn': ['CN=node'],
    'plugins.security.ssl.http.enabled': https,
    ...(https
      ? {
          'plugins.security.ssl.http.pemcert_filepath': 'http.crt',
          'plugins.security.ssl.http.pemkey_filepath': 'http.key',
          'plugins.security.ssl.http.pemtrustedcas_filepath': 'http-ca.crt',
        }
      : {}),
    'plugins.security.audit.type': 'noop',
    // as KubeDB has them
    'plugins.security.allow_default_init_securityindex': true,
    'plugins.security.restapi.roles_enabled': ['all_access', 'security_rest_api_access'],
    'plugins.security.enable_snapshot_restore_privilege': true,
    'plugins.security.check_snapshot_restore_write_privileges': true,
  }
  const own = {
    'path.data': `${folder}/data`,
    'path.logs': `${folder}/logs`,
    'network.host': address,
    'http.port': port,
    'transport.port': 9300,
    'discovery.type': 'single-node',
  }
  return stringify({ ...defaults, ...userSettings(config, dialect), ...own })
}

/**
 * @returns a user's settings, one key each
 * @throws {Error} when they are no YAML mapping
 */
export function userSettings(config: string, dialect: Dialect): JsonObject {
  if (config.trim() === '') return {}
  const settings: unknown = parse(config)
  if (!isObject(settings)) throw new Error('elasticsearch.yml is not a list of settings')
  const flat = flatten(v.parse(JsonObject, settings), '')
  // X-Pack's settings mean nothing to the server behind the front.
  return Object.fromEntries(
    Object.entries(flat).filter(([key]) => dialect === 'opensearch' || !key.startsWith('xpack.')),
  )
}

function flatten(settings: JsonObject, prefix: string): JsonObject {
  const flat: { [key: string]: Json } = {}
  for (const [key, value] of Object.entries(settings)) {
    if (isObject(value)) Object.assign(flat, flatten(value, `${prefix}${key}.`))
    else flat[`${prefix}${key}`] = value
  }
  return flat
}

/**
 * The security plugin's files in place of those that come with it, which know passwords that everybody knows.
 * KubeDB's administrator is `reserved`, so that only its admin certificate can change it; here the steward must.
 *
 * @param hashes bcrypt hashes of the two passwords
 */
export function securityFiles(
  dialect: Dialect,
  administrator: string,
  hashes: { administrator: string; steward: string },
): Record<string, string> {
  const meta = (type: string) => ({ _meta: { type, config_version: 2 } })
  return {
    'internal_users.yml': stringify({
      ...meta('internalusers'),
      [administrator]: { hash: hashes.administrator, reserved: false, backend_roles: ['admin'] },
      [steward]: { hash: hashes.steward, reserved: true, hidden: true, backend_roles: ['admin'] },
    }),
    'config.yml': stringify({
      ...meta('config'),
      config: {
        dynamic: {
          // Elasticsearch leaves out of a wildcard what the user may not see, OpenSearch refuses the request.
          do_not_fail_on_forbidden: dialect === 'xpack',
          authc: {
            basic_internal_auth_domain: {
              http_enabled: true,
              transport_enabled: true,
              order: 0,
              http_authenticator: { type: 'basic', challenge: true },
              authentication_backend: { type: 'intern' },
            },
          },
        },
      },
    }),
    ...(dialect === 'xpack'
      ? {
          'roles_mapping.yml': stringify({
            ...meta('rolesmapping'),
            all_access: { reserved: false, backend_roles: ['admin'] },
          }),
        }
      : {}),
  }
}

/** Errors and warnings to the console, which is a file of the instance. */
export const loggingFile = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
`

/** Small and quick to start; nobody's only copy of anything lives in a sandbox. */
export function javaParameters(server: string, folder: string, archive: readonly string[]): string[] {
  return [
    '-Xms128m',
    '-Xmx128m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-XX:-UsePerfData',
    '-Xshare:auto',
    ...archive,
    `-Djava.io.tmpdir=${folder}/tmp`,
    '-Djava.security.manager=allow',
    '-Djava.locale.providers=SPI,COMPAT',
    '-Dopensearch.networkaddress.cache.ttl=60',
    '-Dio.netty.noUnsafe=true',
    '-Dio.netty.noKeySetOptimization=true',
    '-Dio.netty.recycler.maxCapacityPerThread=0',
    '-Dio.netty.allocator.numDirectArenas=0',
    '-Dlog4j.shutdownHookEnabled=false',
    '-Dlog4j2.disable.jmx=true',
    `-Dopensearch.path.home=${server}`,
    `-Dopensearch.path.conf=${folder}/config`,
    '-Dopensearch.distribution.type=tar',
    '-Dopensearch.bundled_jdk=false',
    '-cp',
    `${server}/lib/*`,
    'org.opensearch.bootstrap.OpenSearch',
  ]
}

/** What went wrong, out of the server's log: without classes and our folders. */
export function complaints(log: string): string {
  const said =
    /^Likely root cause: (.+)$/m.exec(log)?.[1] ??
    /uncaught exception in thread \[main\]\n(.+)$/m.exec(log)?.[1] ??
    /^Caused by: (.+)$/m.exec(log)?.[1] ??
    /^(?:Error|Exception): (.+)$/m.exec(log)?.[1] ??
    ''
  return said.replace(/^(?:[\w.$]+(?:Exception|Error): )+/, '').replace(/\/[^\s\]]*\/([^\s/\]]+)/g, '$1')
}
