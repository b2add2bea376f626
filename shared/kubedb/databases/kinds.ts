/** The KubeDB kinds that this broker offers, one line each. */
import type { Database } from './database.ts'
import { elasticsearch } from './elasticsearch.ts'
import { kafka } from './kafka.ts'
import { mariadb } from './mariadb.ts'
import { memcached } from './memcached.ts'
import { mongodb } from './mongodb.ts'
import { mysql } from './mysql.ts'
import { perconaxtradb } from './perconaxtradb.ts'
import { postgres } from './postgres.ts'
import { rabbitmq } from './rabbitmq.ts'
import { redis } from './redis.ts'

const all = [
  elasticsearch,
  kafka,
  mariadb,
  memcached,
  mongodb,
  mysql,
  perconaxtradb,
  postgres,
  rabbitmq,
  redis,
]

export const kinds: ReadonlyMap<string, Database> = new Map(all.map((kind) => [kind.kind, kind]))

/** @throws {Error} when a record or a catalog names a kind that this broker does not have */
export function kindOf(name: string): Database {
  const kind = kinds.get(name)
  if (!kind) throw new Error(`this broker does not know the KubeDB kind ${name}`)
  return kind
}
