import type { Engine } from './engine.ts'
import { memcached } from './memcached.ts'
import { mongodb } from './mongodb.ts'
import { mysql } from './mysql.ts'
import { opensearch } from './opensearch.ts'
import { postgresql } from './postgresql.ts'
import { redis } from './redis.ts'

/** PostgreSQL first: what does not differ from engine to engine is measured on it. */
export const engines: readonly Engine[] = [postgresql, mysql, mongodb, opensearch, redis, memcached]
