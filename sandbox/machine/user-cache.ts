import { homedir } from 'node:os'
import { join } from 'node:path'

/** @returns the folder for what is made once and serves every later run of this user; it need not exist */
export function userCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kubedb-service-broker')
}
