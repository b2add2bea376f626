import { offerOf } from '../../test/support/offers.ts'
import type { Engine } from './engine.ts'

/** KubeDB makes and removes the users, by OpsRequests. */
export const redis: Engine = {
  name: 'Redis',
  offer: offerOf('redis', 'small'),
  change: { storage: '20Gi' },
  asynchronous: true,
}
