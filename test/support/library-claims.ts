/** What is tried of applications that find their databases by libraries: the table of docs/bindings.md, row by row. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { kafkaEngine } from '../../sandbox/engines/kafka.ts'
import { opensearchEngine } from '../../sandbox/engines/opensearch.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import type { preparations } from './library-notes.ts'
import {
  goRunner,
  javaRunner,
  type Names,
  nodeRunner,
  pythonRunner,
  type Row,
  type Runner,
} from './library-programs.ts'
import { type Offer, offerOf } from './offers.ts'

const root = join(import.meta.dirname, '../..')

/** What is special about a database in the lines of a page. */
type Variant = 'tls' | 'cluster' | 'mariadb' | 'opensearch'

/** A database that the applications find. */
export interface Found {
  title: string
  /** what a client of it is called in the programs */
  kind: keyof typeof preparations
  /** of docs/bindings */
  page: string
  /** of the catalog: what Cloud Foundry calls it */
  service: string
  offer: Offer
  variants: readonly Variant[]
  /** a line that the operator puts into the plan's spec */
  spec?: string
  parameters?: JsonObject
  /** the only one, where there is only one */
  role?: 'owner'
  available?: () => Promise<true | string>
}

function found(
  title: string,
  kind: Found['kind'],
  [service, plan]: [service: string, plan: string],
  { variants = [], parameters = {}, ...more }: Partial<Found> = {},
): Found {
  return {
    title,
    kind,
    page: service,
    service,
    offer: offerOf(service, plan),
    variants,
    parameters: { ...parameters, ...(variants.includes('tls') ? { tls: 'internal' } : {}) },
    ...more,
  }
}

const tls = { variants: ['tls'] } as const
const ofMysql = { page: 'mysql' }
const searchServer = () => opensearchEngine('/nowhere').available()
const kafkaServer = () => kafkaEngine('/nowhere').available()
const kafka = { role: 'owner', available: kafkaServer } as const

/** What differs with the number of servers is there in each number; of the others one number is as good as another. */
export const databases: readonly Found[] = [
  found('PostgreSQL', 'postgresql', ['postgresql', 'small']),
  found('PostgreSQL with TLS', 'postgresql', ['postgresql', 'large-ha'], tls),
  found('PostgreSQL with TLS, to be checked', 'postgresql', ['postgresql', 'demo-ha-postgresql'], {
    ...tls,
    spec: 'sslMode: verify-full',
  }),
  found('MySQL', 'mysql', ['mysql', 'small']),
  found('MySQL with TLS', 'mysql', ['mysql', 'large-ha'], tls),
  found('MariaDB', 'mysql', ['mariadb', 'small'], { ...ofMysql, variants: ['mariadb'] }),
  found('MariaDB with TLS', 'mysql', ['mariadb', 'large-ha'], { ...ofMysql, variants: ['mariadb', 'tls'] }),
  found('Percona XtraDB Cluster', 'mysql', ['perconaxtradb', 'small'], ofMysql),
  found('MongoDB', 'mongodb', ['mongodb', 'small']),
  found('MongoDB with TLS', 'mongodb', ['mongodb', 'large'], tls),
  found('a replica set of MongoDB', 'mongodb', ['mongodb', 'demo-mongodb-cluster']),
  found('a replica set of MongoDB with TLS', 'mongodb', ['mongodb', 'large-ha'], tls),
  found('a sharded cluster of MongoDB', 'mongodb', ['mongodb', 'large-sharded']),
  found('Redis', 'redis', ['redis', 'small']),
  found('Redis with TLS', 'redis', ['redis', 'large'], tls),
  found('a cluster of Redis', 'redis', ['redis', 'large-ha'], { variants: ['cluster'] }),
  found('RabbitMQ', 'rabbitmq', ['rabbitmq', 'small']),
  found('Kafka', 'kafka', ['kafka', 'small'], kafka),
  found('a cluster of Kafka', 'kafka', ['kafka', 'large-ha'], kafka),
  found('Elasticsearch', 'elasticsearch', ['elasticsearch', 'demo-elasticsearch'], {
    parameters: { version: 'xpack-9.2.3' },
    available: searchServer,
  }),
  found('OpenSearch', 'elasticsearch', ['elasticsearch', 'demo-elasticsearch-cluster'], {
    parameters: { version: 'opensearch-2.19.2' },
    variants: ['opensearch'],
    available: searchServer,
  }),
]

export const platforms = ['cloud-foundry', 'servicebinding'] as const
export type PlatformName = (typeof platforms)[number]

const roles = ['owner', 'readWrite', 'readOnly'] as const
export type Role = (typeof roles)[number]

/** What a language finds bindings with, on each of the platforms, and who is bound there. */
export interface Language {
  name: string
  runner(names: Names): Promise<Runner | string>
  /** of blocks of code in the pages that rows take their lines from */
  code?: 'properties' | 'js' | 'python'
  libraries: { readonly [P in PlatformName]: readonly string[] }
  roles: { readonly [P in PlatformName]: readonly Role[] }
}

/** Every role through every language, and in one of them every role everywhere. */
export const languages: readonly Language[] = [
  {
    name: 'Java',
    runner: javaRunner,
    code: 'properties',
    libraries: { 'cloud-foundry': ['java-cfenv'], servicebinding: ['spring-cloud-bindings', 'quarkus'] },
    roles: { 'cloud-foundry': ['owner'], servicebinding: ['readOnly'] },
  },
  {
    name: 'JavaScript',
    runner: nodeRunner,
    code: 'js',
    libraries: { 'cloud-foundry': ['cfenv', 'xsenv'], servicebinding: ['kube-service-bindings'] },
    roles: { 'cloud-foundry': ['readWrite'], servicebinding: ['owner'] },
  },
  {
    name: 'Python',
    runner: pythonRunner,
    code: 'python',
    libraries: { 'cloud-foundry': ['cfenv'], servicebinding: ['pyservicebinding'] },
    roles: { 'cloud-foundry': ['readOnly'], servicebinding: ['readWrite'] },
  },
  {
    name: 'Go',
    runner: goRunner,
    libraries: { 'cloud-foundry': ['go-cfenv'], servicebinding: ['libcnb'] },
    roles: { 'cloud-foundry': roles, servicebinding: roles },
  },
]

/** What Quarkus has a converter of bindings for, that is tried here. */
const ofQuarkus = [
  'PostgreSQL',
  'PostgreSQL with TLS',
  'PostgreSQL with TLS, to be checked',
  'MySQL',
  'Percona XtraDB Cluster',
  'a replica set of MongoDB',
  'Kafka',
  'a cluster of Kafka',
]

/** What the libraries do not manage without the lines of the pages, or with others. */
interface Miss {
  database: string
  language: string
  library: string
  /** none by default; `general`: those of the page for whom nothing special is said */
  lines?: string
  error: RegExp
  why: string
}

const misses: readonly Miss[] = [
  {
    database: 'PostgreSQL with TLS, to be checked',
    language: 'Java',
    library: 'java-cfenv',
    error: /root\.crt/,
    why: 'no CA without its lines',
  },
  {
    database: 'PostgreSQL with TLS, to be checked',
    language: 'Python',
    library: 'pyservicebinding',
    lines: 'general',
    error: /root certificate file .* does not exist/,
    why: 'no CA without its lines',
  },
  {
    database: 'MySQL with TLS',
    language: 'JavaScript',
    library: 'kube-service-bindings',
    lines: 'general',
    error: /secure.transport/i,
    why: 'no TLS without its lines',
  },
  {
    database: 'MariaDB',
    language: 'Java',
    library: 'spring-cloud-bindings',
    error: /driver class/,
    why: 'no address without its line, for the type is mariadb',
  },
  {
    database: 'MariaDB',
    language: 'JavaScript',
    library: 'kube-service-bindings',
    lines: 'general',
    error: /No Binding Found/i,
    why: 'no binding without its lines, for the type is mariadb',
  },
  {
    database: 'a replica set of MongoDB',
    language: 'Python',
    library: 'cfenv',
    lines:
      'from cfenv import AppEnv\nfrom pymongo import MongoClient\nclient = MongoClient(AppEnv().get_service(name="notes-db").get_url()).get_default_database()',
    error: /Invalid host/,
    why: 'no address by get_url, which knows URLs of one server only',
  },
  {
    database: 'Redis',
    language: 'Java',
    library: 'java-cfenv',
    error: /WRONGPASS/,
    why: 'no user without its line',
  },
  {
    database: 'Redis',
    language: 'Java',
    library: 'spring-cloud-bindings',
    lines: 'spring.data.redis.ssl=true',
    error: /spring\.data\.redis\.ssl/,
    why: 'does not start with what a key `ssl` would set',
  },
  {
    database: 'Redis with TLS',
    language: 'Java',
    library: 'spring-cloud-bindings',
    error: /unable to find valid certification path/,
    why: 'no CA without its lines',
  },
  {
    database: 'Elasticsearch',
    language: 'Java',
    library: 'java-cfenv',
    error: /Connection refused/,
    why: 'no address without its lines',
  },
  {
    database: 'Elasticsearch',
    language: 'Java',
    library: 'spring-cloud-bindings',
    error: /unable to find valid certification path/,
    why: 'no CA without its lines',
  },
  {
    database: 'OpenSearch',
    language: 'Java',
    library: 'spring-cloud-bindings',
    error: /Connection refused/,
    why: 'no address without its lines, for the type is opensearch',
  },
]

/** A row, and what it is to end with. */
export interface Claim {
  title: string
  language: Language
  database: Found
  platform: PlatformName
  role: Role
  row: Omit<Row, 'environment'>
  ends: { answer: string } | { error: RegExp }
}

/** What is in a note that is only read. */
export const written = 'written before'

/** What databases say to a reader who writes. */
const refusal = /denied|permission|NOPERM|not authorized|ACCESS_REFUSED|403/i

let notes = 0

export const claims: readonly Claim[] = databases.flatMap((database) =>
  languages.flatMap((language) =>
    platforms.flatMap((platform) =>
      language.libraries[platform].flatMap((library) =>
        (database.role === undefined ? language.roles[platform] : [database.role]).flatMap((role) =>
          claimsOf(database, language, platform, library, role),
        ),
      ),
    ),
  ),
)

function claimsOf(
  database: Found,
  language: Language,
  platform: PlatformName,
  library: string,
  role: Role,
): Claim[] {
  if (library === 'quarkus' && !ofQuarkus.includes(database.title)) return []
  // What it hands out is the same credentials, in the same program: once is enough.
  if (library === 'xsenv' && database.title !== 'PostgreSQL') return []
  const { name, code } = language
  const driver = (['mariadb', 'opensearch'] as const).find((one) => database.variants.includes(one))
  const claim = (does: 'read' | 'write', lines: string, ends: Claim['ends'], what: string): Claim => ({
    title: `${name}, ${library}: ${database.title}, ${role}, ${what}`,
    language,
    database,
    platform,
    role,
    row: { library, kind: database.kind, driver, lines, does, note: `note_${++notes}` },
    ends,
  })
  const lines = code === undefined ? '' : linesOf(database, code, library)
  const made =
    role === 'readOnly'
      ? claim('read', lines, { answer: written }, 'reads')
      : claim('write', lines, { answer: `from ${name}` }, 'writes and reads')
  const refused =
    name === 'Go' && role === 'readOnly' ? [claim('write', lines, { error: refusal }, 'does not write')] : []
  const without = misses
    .filter((miss) => miss.database === database.title && miss.language === name && miss.library === library)
    .map(({ lines: wrong = '', error, why }) => {
      const general = wrong === 'general' ? blockOf(database, `${code} ${library}`) : wrong
      return claim('read', general ?? '', { error }, why)
    })
  return [made, ...refused, ...without]
}

/** @returns the lines of the page for what the database is in particular, or else for all; none where nothing has to be said */
function linesOf(database: Found, code: string, library: string): string {
  if (library === 'xsenv') {
    return linesOf(database, code, 'cfenv')
      .replace("import cfenv from 'cfenv'", "import xsenv from '@sap/xsenv'")
      .replace('cfenv.getAppEnv().getServiceCreds(', 'xsenv.serviceCredentials(')
  }
  const particular = database.variants
    .map((variant) => blockOf(database, `${code} ${library}`, variant))
    .filter((block) => block !== undefined)
  const general = blockOf(database, `${code} ${library}`)
  const blocks = particular.length > 0 ? particular : general === undefined ? [] : [general]
  // Of properties those of each, of programs one that is for all.
  const lines = code === 'properties' ? new Set(blocks.join('\n').split('\n')) : (blocks[0] ?? '').split('\n')
  return [...lines].map((line) => asCommented(line, database)).join('\n')
}

/** @returns the line with what its comment says of the database: `"mysql")  # "mariadb" of MariaDB` */
function asCommented(line: string, { title }: Found): string {
  const [, before, other, of] = /^(.*)"\w+"(?=\) {2}# "(\w+)" of (\w+)$)/.exec(line) ?? []
  return of !== undefined && title.startsWith(of) ? `${before}"${other}")` : line
}

/** @returns the block of code with these words behind its fence, and with that of the variant among the ones after them */
function blockOf({ page }: Found, words: string, variant?: Variant): string | undefined {
  return blocksOf(page).find(
    ({ info, variants }) =>
      info === words && (variant === undefined ? variants.length === 0 : variants.includes(variant)),
  )?.text
}

interface Block {
  /** language and library */
  info: string
  variants: readonly string[]
  text: string
}

/** @returns the blocks of code of a page that are for a library */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, `docs/bindings/${page}.md`), 'utf8')
  return [...text.matchAll(/^```(\S+ \S+)(.*)\n([\s\S]*?)\n```$/gm)].map(
    ([, info = '', variants = '', text = '']) => ({
      info,
      variants: variants.split(' ').filter((word) => word !== ''),
      text,
    }),
  )
}
