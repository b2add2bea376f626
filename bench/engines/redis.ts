import type { Engine } from './engine.ts'

/** KubeDB makes and removes the users, by OpsRequests. */
export const redis: Engine = {
  name: 'Redis',
  offer: {
    serviceId: 'ccfd1c81-e59f-4875-a39f-75ba55320ce0',
    planId: '16367535-3dc7-4c94-b932-16c1ba832ebe',
  },
  change: { storage: '20Gi' },
  asynchronous: true,
}
