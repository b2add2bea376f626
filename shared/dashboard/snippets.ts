/**
 * How an application connects, by what the engine speaks. The password is never in it: a binding has it. The programs
 * are the first lines of those in docs/bindings, which are tested against real servers.
 */
import type { Reach } from '../kubedb/databases/database.ts'
import { kindOf } from '../kubedb/databases/kinds.ts'

export interface Snippet {
  language: string
  code: string
}

/** Where what the snippets leave open comes from. */
export const hint =
  'Bind an application to this instance: user, password and the whole address (uri) are in the credentials of its binding, and with TLS the CA that clients are given (rootCert; ca.pem is a file with it). They are shown nowhere else: USER and PASSWORD stand for them here, and the programs read an environment variable CREDENTIALS, which holds the credentials as JSON.'

/**
 * @param kind KubeDB kind
 * @returns ready pieces of code; the first has the address in it
 */
export function snippetsFor(kind: string, reach: Reach): Snippet[] {
  const credentials = kindOf(kind).credentials(reach, { name: 'USER', password: 'PASSWORD' })
  const text = (key: string) => String(credentials[key] ?? '')
  const uri = text('uri')
  const { host, port } = reach
  /** how a program of the shell is given the CA */
  const ca = (option: string) => (credentials.rootCert === undefined ? '' : ` ${option} ca.pem`)
  const shell = (code: string): Snippet => ({ language: 'Shell', code })
  switch (kind) {
    case 'Postgres':
      return [shell(`psql '${uri}'`), ...programs.postgres, java, go]
    case 'MySQL':
    case 'MariaDB':
    case 'PerconaXtraDB':
      return [
        shell(
          `mysql --host=${host} --port=${port}${ca('--ssl-ca')} --user=USER --password ${reach.database}`,
        ),
        ...programs.mysql,
        java,
      ]
    case 'MongoDB':
      return [shell(`mongosh${ca('--tlsCAFile')} '${uri}'`), ...programs.mongodb]
    case 'Redis': {
      const cluster = credentials.cluster === true ? ' -c' : ''
      const tls = text('protocol') === 'rediss' ? ` --tls${ca('--cacert')}` : ''
      return [
        shell(`redis-cli${cluster}${tls} -h ${host} -p ${port} --user USER --askpass`),
        ...programs.redis,
      ]
    }
    case 'Elasticsearch':
      return [
        shell(`curl${ca('--cacert')} --user USER ${text('protocol')}://${host}:${port}/`),
        ...(text('type') === 'opensearch' ? programs.opensearch : programs.elasticsearch),
        programs.search,
      ]
    case 'Kafka':
      return [
        {
          language: 'Properties',
          code: `bootstrap.servers=${text('bootstrapServers')}\nsecurity.protocol=${text('securityProtocol')}\nsasl.mechanism=${text('saslMechanism')}\nsasl.jaas.config=${text('saslJaasConfig')}`,
        },
        ...programs.kafka,
      ]
    case 'RabbitMQ':
      return [{ language: 'Address', code: uri }, ...programs.rabbitmq]
    case 'Memcached':
      return [{ language: 'Address', code: uri }, ...programs.memcached]
    default:
      return [{ language: 'Address', code: uri || `${host}:${port}` }]
  }
}

const java: Snippet = {
  language: 'Java',
  code: 'var connection = DriverManager.getConnection(System.getenv("JDBC_URL")); // jdbcUrl of the credentials',
}

const go: Snippet = {
  language: 'Go',
  code: 'db, err := sql.Open("pgx", os.Getenv("DATABASE_URL")) // uri of the credentials',
}

const node = (code: string): Snippet => ({ language: 'Node.js', code })
const python = (code: string): Snippet => ({ language: 'Python', code })

const programs = {
  postgres: [
    node(`import { Client } from 'pg'

const { host, port, database, username, password, rootCert } = JSON.parse(process.env.CREDENTIALS)
const ssl = rootCert ? { ca: rootCert } : false
const client = new Client({ host, port, database, user: username, password, ssl })
await client.connect()`),
    python(`import json, os
import psycopg

credentials = json.loads(os.environ["CREDENTIALS"])
with psycopg.connect(credentials["uri"]) as connection:
    ...`),
  ],
  mysql: [
    node(`import { createConnection } from 'mysql2/promise'

const { host, port, database, username, password, rootCert } = JSON.parse(process.env.CREDENTIALS)
const ssl = rootCert ? { ca: rootCert, verifyIdentity: true } : undefined
const client = await createConnection({ host, port, database, user: username, password, ssl })`),
    python(`import json, os, ssl
import pymysql

credentials = json.loads(os.environ["CREDENTIALS"])
tls = ssl.create_default_context(cadata=credentials["rootCert"]) if "rootCert" in credentials else None
names = {"user": "username", "password": "password", "host": "host", "port": "port", "database": "database"}
client = pymysql.connect(ssl=tls, autocommit=True, **{name: credentials[key] for name, key in names.items()})`),
  ],
  mongodb: [
    node(`import { MongoClient } from 'mongodb'

const { uri, rootCert } = JSON.parse(process.env.CREDENTIALS)
const client = new MongoClient(uri, rootCert ? { ca: rootCert } : {})
const notes = client.db().collection('notes')`),
    python(`import json, os
from pymongo import MongoClient

credentials = json.loads(os.environ["CREDENTIALS"])
client = MongoClient(credentials["uri"])
notes = client.get_default_database()["notes"]`),
  ],
  redis: [
    node(`import { createClient, createCluster } from '@redis/client'

const { uri, username, password, cluster, rootCert } = JSON.parse(process.env.CREDENTIALS)
const socket = rootCert ? { tls: true, ca: rootCert } : {}
const client = cluster
  ? createCluster({ rootNodes: [{ url: uri }], defaults: { username, password, socket } })
  : createClient({ url: uri, socket })
await client.connect()`),
    python(`import json, os
import redis

credentials = json.loads(os.environ["CREDENTIALS"])
kind = redis.RedisCluster if credentials["cluster"] else redis.Redis
tls = {"ssl_ca_data": credentials["rootCert"]} if "rootCert" in credentials else {}
client = kind.from_url(credentials["uri"], decode_responses=True, **tls)`),
  ],
  opensearch: [
    node(`import { Client } from '@opensearch-project/opensearch'

const { uri, rootCert } = JSON.parse(process.env.CREDENTIALS)
const client = new Client({ node: uri, ssl: { ca: rootCert } })`),
  ],
  elasticsearch: [
    node(`import { Client } from '@elastic/elasticsearch'

const { uri, rootCert } = JSON.parse(process.env.CREDENTIALS)
const client = new Client({ node: uri, tls: { ca: rootCert } })`),
  ],
  search: python(`import base64, json, os, ssl
from urllib.request import Request, urlopen

credentials = json.loads(os.environ["CREDENTIALS"])
login = f'{credentials["username"]}:{credentials["password"]}'.encode()
headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}", "Content-Type": "application/json"}
note = f'{credentials["protocol"]}://{credentials["host"]}:{credentials["port"]}/notes/_doc/python'
context = ssl.create_default_context(cadata=credentials.get("rootCert"))
with urlopen(Request(note, headers=headers), context=context) as answer:
    ...`),
  kafka: [
    node(`import { Kafka, logLevel } from 'kafkajs'

const { bootstrapServers, username, password } = JSON.parse(process.env.CREDENTIALS)
const kafka = new Kafka({
  brokers: bootstrapServers.split(','),
  sasl: { mechanism: 'plain', username, password },
  logLevel: logLevel.NOTHING,
})`),
    python(`import json, os
from confluent_kafka import Consumer, Producer

credentials = json.loads(os.environ["CREDENTIALS"])
options = {
    "bootstrap.servers": credentials["bootstrapServers"],
    "security.protocol": credentials["securityProtocol"],
    "sasl.mechanism": credentials["saslMechanism"],
    "sasl.username": credentials["username"],
    "sasl.password": credentials["password"],
}
producer = Producer(options)`),
  ],
  rabbitmq: [
    node(`import { connect } from 'amqplib'

const { uri } = JSON.parse(process.env.CREDENTIALS)
const client = await connect(uri)`),
    python(`import json, os
import pika

credentials = json.loads(os.environ["CREDENTIALS"])
client = pika.BlockingConnection(pika.URLParameters(credentials["uri"]))`),
  ],
  memcached: [
    node(`import { connect } from 'node:net'
import { connect as connectEncrypted } from 'node:tls'

const { host, port, username, password, rootCert } = JSON.parse(process.env.CREDENTIALS)
const server = rootCert ? connectEncrypted({ host, port, ca: rootCert }) : connect({ host, port })
const login = \`\${username} \${password}\`
server.write(\`set login 0 0 \${login.length}\\r\\n\${login}\\r\\n\`)`),
    python(`import json, os, socket, ssl

credentials = json.loads(os.environ["CREDENTIALS"])
server = socket.create_connection((credentials["host"], credentials["port"]))
if "rootCert" in credentials:
    context = ssl.create_default_context(cadata=credentials["rootCert"])
    server = context.wrap_socket(server, server_hostname=credentials["host"])
login = f'{credentials["username"]} {credentials["password"]}'
server.sendall(f"set login 0 0 {len(login)}\\r\\n{login}\\r\\n".encode())`),
  ],
}
