import type { Engine } from './engine.ts'

/** All bindings share the one user that the server has. */
export const memcached: Engine = {
  name: 'Memcached',
  offer: {
    serviceId: 'd88856cb-fe3f-4473-ba8b-641480da810f',
    planId: 'fdce5e49-fa2d-480b-911d-3b399343c971',
  },
  change: { memory: '256Mi' },
  asynchronous: false,
}
