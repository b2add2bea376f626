import type { Engine } from './engine.ts'
import { mongodbEngine } from './mongodb.ts'
import { opensearchEngine } from './opensearch.ts'
import { postgresEngine } from './postgres.ts'

/**
 * Every make of server that the sandbox knows; one that this machine lacks says so by {@link Engine.available}.
 *
 * @param home folder for programs and data; made when absent. Started by root, it must be reachable for `nobody`
 */
export function engines(home: string): Engine[] {
  return [postgresEngine(home), mongodbEngine(home), opensearchEngine(home)]
}
