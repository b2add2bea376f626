/** docs/bindings/keys.md: every key that a library looks for, of every kind, from the kinds' own lists. */
import type { Database } from '../shared/kubedb/databases/database.ts'
import type { Json } from '../shared/values/json.ts'
import type { Plan } from '../shared/values/nouns.ts'
import { exampleCredentials } from './example-credentials.ts'
import { table } from './table.ts'

/** What libraries look for and do not get, and why. */
const leftOut: readonly (readonly [where: string, key: string, readBy: string, why: string])[] = [
  [
    'Redis',
    'ssl',
    'spring-cloud-bindings, Steeltoe',
    'it becomes `spring.data.redis.ssl=true`, with which Spring Boot 3 does not start; `url` says it by its scheme',
  ],
  [
    'Redis',
    'tls_port',
    'java-cfenv, Steeltoe',
    'java-cfenv looks for it where there is no `uri`, and Steeltoe sends no user, with which nobody gets in',
  ],
  [
    'PostgreSQL, MySQL',
    'r2dbc-url',
    'spring-cloud-bindings',
    'it makes one of host, port and database, with the name that the driver on the class path goes by; a URL of ours would take that choice away',
  ],
  [
    'PostgreSQL',
    'options',
    'spring-cloud-bindings, Quarkus, kube-service-bindings',
    'settings of a session; there are none to make',
  ],
  [
    'PostgreSQL',
    'ssl',
    'nobody; some brokers send it',
    'kube-service-bindings would hand it to `pg`, where it takes the place of the CA',
  ],
  [
    'PostgreSQL',
    'tls.crt, tls.key',
    'kube-service-bindings',
    'certificates of clients: log-ins are by password',
  ],
  [
    'RabbitMQ',
    'uris',
    'java-cfenv',
    'it has to be a list there, which is not text; java-cfenv takes `uri` where it is not there',
  ],
  ['RabbitMQ', 'protocols', 'Steeltoe, on Cloud Foundry', 'an object in objects, which is not text'],
  [
    'Kafka',
    'consumer.bootstrap-servers, producer.bootstrap-servers, streams.bootstrap-servers',
    'spring-cloud-bindings',
    'they are for brokers apart from the others; `bootstrap-servers` holds for all',
  ],
  ['MongoDB', 'srv', 'Quarkus, kube-service-bindings', 'KubeDB publishes no SRV records'],
  ['MongoDB', 'grid-fs-database', 'spring-cloud-bindings', 'the application’s own matter'],
  ['Redis', 'sentinel.master, sentinel.nodes', 'spring-cloud-bindings', 'there are no sentinels on offer'],
  [
    'Redis',
    'database, client-name, cluster.max-redirects',
    'spring-cloud-bindings',
    'the application’s own matter',
  ],
]

/** @param offers every kind, with a plan to show it by and one of several servers */
export function keysPage(
  offers: readonly { title: string; kind: Database; plans: readonly Plan[] }[],
): string {
  return [
    '# Keys of credentials',
    '',
    'This page is generated from the files of the kinds in `shared/kubedb/databases/` by `npm run generate`.',
    '',
    'Beside the keys that [bindings](../bindings.md) speaks of, credentials have these, for libraries that look for them by names of their own. Each says again what another key says, as text, and each is a good name of a key in a Secret and of a file. What an application does with them, library by library, is in [bindings](../bindings.md#libraries).',
    '',
    ...offers.flatMap(section),
    '## Left out',
    '',
    'What libraries look for too, and do not get:',
    '',
    table(
      ['Of', 'Key', 'Read by', 'Why not'],
      leftOut.map(([where, key, readBy, why]) => [where, key.split(', ').map(code).join(', '), readBy, why]),
    ),
    '',
    '## The key `type`',
    '',
    'By `type` a library on servicebinding.io finds its binding. It is `postgresql`, `mongodb`, `redis`, `rabbitmq`, `kafka`, `elasticsearch` and `memcached`; Valkey is `redis`, and Percona XtraDB Cluster `mysql`, for their clients are. Two are different from what most libraries look for:',
    '',
    '- MariaDB is `mariadb`, and the libraries look for `mysql`. With a `ServiceBinding` resource, `spec.type: mysql` says so; without, the page about its bindings has [a line](mysql.md#by-a-library).',
    '- OpenSearch is `opensearch`, for clients of Elasticsearch refuse to talk to it.',
    '',
    'On Cloud Foundry libraries find a service by its tags, which are in the catalog.',
    '',
  ].join('\n')
}

const code = (text: string) => `\`${text}\``

function section({
  title,
  kind,
  plans,
}: {
  title: string
  kind: Database
  plans: readonly Plan[]
}): string[] {
  const rows = kind.libraryKeys.map(({ name, readBy, only = '' }) => [
    code(name),
    exampleOf(kind, plans, name),
    readBy,
    only,
  ])
  return [`## ${title}`, '', table(['Key', 'For example', 'Read by', 'Only'], rows), '']
}

/** @returns the value in the first example that has it */
function exampleOf(kind: Database, plans: readonly Plan[], key: string): string {
  const ways = kind.parameters.includes('tls') ? [false, true] : [false]
  const values = plans.flatMap((plan) => ways.map((tls) => exampleCredentials(kind, plan, tls)[key]))
  return brief(values.find((value) => value !== undefined))
}

function brief(value: Json | undefined): string {
  if (typeof value !== 'string') throw new Error('a key that no example has')
  const text = value.replaceAll(/:0\b/g, ':PORT').replaceAll('osb-example.databases.svc', 'HOST')
  return code(text)
}
