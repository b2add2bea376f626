/**
 * Stands in for Percona XtraDB Cluster, whose servers cannot run here: one MySQL server, which Percona's is made from,
 * for all members, without Galera's replication. It refuses what Percona's strict mode refuses and a server can be told
 * to: tables without a primary key and, as far as MySQL runs, of other engines than InnoDB.
 */

import { findMySqlProgram, type MySqlProgram, mySqlObtainable } from './mysql/programs.ts'
import { mysqlLikeEngine } from './mysql.ts'
import type { Engine } from './parts/engine.ts'

/** @param home folder for data; made when absent */
export function perconaXtraDbEngine(home: string): Engine {
  return mysqlLikeEngine(
    {
      kind: 'PerconaXtraDB',
      folder: 'perconaxtradb',
      available: mySqlObtainable,
      find: findMySqlProgram,
      settings: strictly,
    },
    home,
  )
}

function strictly({ make }: MySqlProgram): string[] {
  return make === 'MySQL'
    ? ['sql-require-primary-key=ON', 'disabled-storage-engines=MyISAM,MEMORY,CSV,ARCHIVE,BLACKHOLE']
    : ['innodb-force-primary-key=ON']
}
