/** RabbitMQ as KubeDB runs it: a node on its own, or a cluster of them behind one Service. */
import { isObject, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import type { Database, Dimension } from './database.ts'
import { common, encoded, inUri, loginOf } from './parts/address.ts'
import { type Layout, withResources, withStorage } from './parts/components.ts'
import {
  beforeServers,
  compareVersions,
  configuration,
  impossible,
  servers,
  version,
} from './parts/dimensions.ts'
import { begin, finish, hold, lines, sizable, withFile } from './parts/draft.ts'
import { sameAs, url } from './parts/library-keys.ts'
import { parametersWith } from './parts/parameters.ts'

const container = 'rabbitmq'
const layout: Layout = {
  container,
  paths: [''],
  components: () => [{ name: 'node', path: '', disk: true }],
}
const configFile = 'rabbitmq.conf'

/** Settings that neither run code, read or write files, load plugins nor change who may log in. */
const settings: { [name: string]: Setting } = {
  /** of the memory of a node */
  'vm_memory_high_watermark.relative': { type: 'number', min: 0.1, max: 0.9 },
  'disk_free_limit.absolute': { type: 'string', pattern: '^[1-9][0-9]{0,5}(MB|GB)$' },
  channel_max: { type: 'integer', min: 1, max: 65535 },
  /** seconds */
  heartbeat: { type: 'integer', min: 5, max: 3600 },
  /** bytes */
  max_message_size: { type: 'integer', min: 65536, max: 536870912 },
  /** milliseconds */
  consumer_timeout: { type: 'integer', min: 60000, max: 604800000 },
  /** milliseconds */
  collect_statistics_interval: { type: 'integer', min: 5000, max: 3600000 },
  cluster_partition_handling: { type: 'string', pattern: '^(pause_minority|autoheal|ignore)$' },
}

/** What the broker needs of a server, beside KubeDB's own rules. */
function mistakes(spec: JsonObject): string[] {
  const found: string[] = []
  const { disabledProtocols, disableSecurity, enableSSL, replicas, tls } = spec
  if (disableSecurity === true)
    found.push('disableSecurity: anybody in the cluster could read and write; take it away')
  if (isObject(tls) || enableSSL === true)
    found.push('tls: this broker does not offer RabbitMQ with TLS; take away tls and enableSSL')
  for (const protocol of ['http', 'amqp'])
    if (Array.isArray(disabledProtocols) && disabledProtocols.includes(protocol))
      found.push(`disabledProtocols: bindings need ${protocol}; take it out of the list`)
  if (typeof replicas === 'number' && replicas < 1) found.push('replicas: send 1 or more')
  return found
}

/** No release of 4 knows what one before 3.13 has stored. */
const upgrade: Dimension = {
  ...version(),
  change(now, wanted) {
    const older = (name: unknown, than: string) => typeof name === 'string' && compareVersions(name, than) < 0
    return older(now, '3.13') && !older(wanted, '4')
      ? impossible(`version: RabbitMQ ${now} cannot become ${wanted} in one step; upgrade to a 3.13 first`)
      : version().change(now, wanted)
  },
}

export const rabbitmq: Database = {
  kind: 'RabbitMQ',
  apiVersion: 'kubedb.com/v1alpha2',
  plural: 'rabbitmqs',
  opsKind: 'RabbitMQOpsRequest',
  opsPlural: 'rabbitmqopsrequests',
  versionsPlural: 'rabbitmqversions',
  maxNameLength: 40,

  parameters: parametersWith('database'),
  lacks: {
    shards: 'has no shards; ask for more replicas',
    tls: 'is offered without TLS: KubeDB does not say at which ports its encrypted RabbitMQ is published',
  },
  settings,
  spec: [
    'replicas',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    'disabledProtocols.*=mqtt|stomp|web_mqtt|web_stomp',
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  mistakes,
  container,
  /** a virtual host: the default one, `/`, is KubeDB's, which checks there whether the server works */
  databaseName: { default: 'app', pattern: '^[a-z_][a-z0-9_.-]*$', maxLength: 64, reserved: [] },
  roles: ['owner', 'readWrite', 'readOnly'],

  build(template, wanted, circumstances) {
    let spec = begin(template, wanted)
    spec.replicas = wanted.replicas ?? spec.replicas ?? 1
    hold(mistakes(spec), wanted)
    spec = withStorage(withResources(spec, layout, wanted), layout, wanted)
    spec = withFile(
      spec,
      configFile,
      lines(wanted.configuration, (name, value) => `${name} = ${value}`),
    )
    return finish(spec, wanted, circumstances)
  },

  dimensions: [
    ...beforeServers(layout, 'one'),
    servers({ paths: ['replicas'], read: (spec) => ({ node: spec.replicas ?? 1 }) }),
    configuration(),
    upgrade,
  ],

  // Any node ends the sessions of a user on all of them.
  members: () => [],

  credentials: (reach, user) => ({
    ...common(reach, user, 'rabbitmq', 'amqp'),
    vhost: reach.database,
    uri: `amqp://${loginOf(user)}${inUri(reach.host)}:${reach.port}/${encoded(reach.database)}`,
  }),

  libraryKeys: [
    url,
    {
      name: 'addresses',
      readBy: 'spring-cloud-bindings',
      // The libraries have user, password and virtual host by themselves.
      value: (_, { host, port }) => `${inUri(host)}:${port}`,
    },
    sameAs('virtual-host', 'vhost', 'spring-cloud-bindings, Steeltoe'),
  ],

  accounts: {
    by: 'connection',
    async connect(admin) {
      const users = await import('./users/rabbitmq.ts')
      return users.connect(admin)
    },
  },
}
