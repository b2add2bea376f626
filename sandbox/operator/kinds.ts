import type { Kind } from './kind.ts'
import { elasticsearch } from './kinds/elasticsearch.ts'
import { kafka } from './kinds/kafka.ts'
import { mariadb } from './kinds/mariadb.ts'
import { memcached } from './kinds/memcached.ts'
import { mongodb } from './kinds/mongodb.ts'
import { mysql } from './kinds/mysql.ts'
import { perconaxtradb } from './kinds/perconaxtradb.ts'
import { postgres } from './kinds/postgres.ts'
import { rabbitmq } from './kinds/rabbitmq.ts'
import { redis } from './kinds/redis.ts'

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
