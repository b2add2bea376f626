import { join } from 'node:path'
import { hashOf } from './machine/lock.ts'

/** Where the sandbox keeps what. */
export interface SandboxFiles {
  directory: string
  /** `{url, username, password, kubeconfig}`, there while the sandbox runs */
  sandbox: string
  kubeconfig: string
  /** what operator and functions tell */
  log: string
  /** the generated password, kept over restarts */
  password: string
  /** users, keys and tokens of the functions */
  broker: string
  functions: string
  /** programs and data of the databases */
  engines: string
}

/**
 * @param directory `.sandbox` of a checkout
 * @returns its files. Started by root, servers run as `nobody`, who must be able to reach the engines' folder: a
 *   checkout may lie where only root can go, so that it is outside then
 */
export function filesIn(directory: string): SandboxFiles {
  const root = process.getuid?.() === 0
  return {
    directory,
    sandbox: join(directory, 'sandbox.json'),
    kubeconfig: join(directory, 'kubeconfig'),
    log: join(directory, 'sandbox.log'),
    password: join(directory, 'password'),
    broker: join(directory, 'broker'),
    functions: join(directory, 'functions'),
    engines: root ? `/var/tmp/kubedb-service-broker-${hashOf(directory)}` : join(directory, 'engines'),
  }
}
