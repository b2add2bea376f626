import { offerOf } from '../../test/support/offers.ts'
import type { Engine } from './engine.ts'

/** All bindings share the one user that the server has. */
export const memcached: Engine = {
  name: 'Memcached',
  offer: offerOf('memcached', 'small'),
  change: { memory: '256Mi' },
  asynchronous: false,
}
