import type { AuthShape } from './kind.ts'
import { WorkloadError } from './workload-error.ts'

/** An auth Secret of the type that most kinds have: one user and its password. */
export function basicAuth(user: string, options: { fixed: boolean }): AuthShape {
  return {
    user: () => user,
    fixed: options.fixed,
    persistent: true,
    secretType: 'kubernetes.io/basic-auth',
    read({ username, password }) {
      if (!username || !password)
        throw new WorkloadError('auth secret must contain non-empty "username" and "password" keys')
      if (options.fixed && username !== user)
        throw new WorkloadError(`auth secret username must be "${user}"`)
      return { username, password }
    },
    write: ({ username, password }) => ({ username, password }),
  }
}
