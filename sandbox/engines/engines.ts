/** Database servers on this machine, a file for each make: every one that the operator can start. */
import { kafkaEngine } from './kafka.ts'
import { memcachedEngine } from './memcached.ts'
import { mongodbEngine } from './mongodb.ts'
import { mariadbEngine, mysqlEngine } from './mysql.ts'
import { opensearchEngine } from './opensearch.ts'
import type { Engine } from './parts/engine.ts'
import { perconaXtraDbEngine } from './perconaxtradb.ts'
import { postgresEngine } from './postgres.ts'
import { rabbitmqEngine } from './rabbitmq.ts'
import { redisEngine } from './redis.ts'

const makes = [
  postgresEngine,
  mysqlEngine,
  mariadbEngine,
  perconaXtraDbEngine,
  mongodbEngine,
  opensearchEngine,
  redisEngine,
  memcachedEngine,
  rabbitmqEngine,
  kafkaEngine,
]

/**
 * Every make of server that the sandbox knows; one that this machine lacks says so by {@link Engine.available}.
 *
 * @param home folder for programs and data; made when absent. Started by root, it must be reachable for `nobody`
 */
export function engines(home: string): Engine[] {
  return makes.map((make) => make(home))
}
