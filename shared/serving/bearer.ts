/** Bearer tokens, reviewed by the API server: imported only where they are let in. */
import type { Config } from '../environment/config.ts'
import { tokenReviewer } from '../kubedb/cluster/reviews.ts'
import { bearer } from '../osb/authentication/bearer.ts'
import type { TokenScheme } from '../osb/operation.ts'
import { apiServer } from './api-server.ts'

/** @returns the scheme of bearer tokens */
export function tokenScheme(config: Config): TokenScheme {
  return (users) => bearer(tokenReviewer(apiServer(config), config.authentication.audience), users)
}
