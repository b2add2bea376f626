/** Bearer tokens, reviewed by the API server: imported only where they are let in. */
import { apiServer } from './api-server.ts'
import type { Config } from './config.ts'
import { tokenReviewer } from './kubedb/reviews.ts'
import { bearer } from './osb/bearer.ts'
import type { TokenScheme } from './osb/operation.ts'

/** @returns the scheme of bearer tokens */
export function tokenScheme(config: Config): TokenScheme {
  return (users) => bearer(tokenReviewer(apiServer(config), config.authentication.audience), users)
}
