import type { Admin } from '../../shared/kubedb/databases/database.ts'

/**
 * @param known what the engine's administrator is called and where it listens
 * @returns what a bind would pass to an engine's `connect`: a server on loopback, thirty seconds
 */
export function adminOf(known: Pick<Admin, 'port' | 'username' | 'password'> & Partial<Admin>): Admin {
  const host = known.host ?? '127.0.0.1'
  return {
    name: 'osb-x',
    namespace: 'databases',
    spec: {},
    scheme: '',
    host,
    hosts: [host],
    external: false,
    members: [],
    database: 'app',
    query: '',
    caBundle: undefined,
    deadline: Date.now() + 30_000,
    signal: new AbortController().signal,
    ...known,
  }
}
