/** The kinds of database, each described in a file of its own. */
import { elasticsearch } from './elasticsearch.ts'
import { kafka } from './kafka.ts'
import { mariadb } from './mariadb.ts'
import { memcached } from './memcached.ts'
import { mongodb } from './mongodb.ts'
import { mysql } from './mysql.ts'
import type { Kind } from './parts/kind.ts'
import { perconaxtradb } from './perconaxtradb.ts'
import { postgres } from './postgres.ts'
import { rabbitmq } from './rabbitmq.ts'
import { redis } from './redis.ts'

/** Every kind that the operator serves, where its CRDs are installed. */
export const kinds: readonly Kind[] = [
  postgres,
  mysql,
  mariadb,
  perconaxtradb,
  mongodb,
  redis,
  memcached,
  elasticsearch,
  rabbitmq,
  kafka,
]
