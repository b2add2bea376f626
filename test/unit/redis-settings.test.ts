import test from 'ava'
import { compareRedisSettings, parseRedisSettings } from '../../sandbox/engines/redis/settings.ts'

test('a redis.conf is read as Redis reads it', (t) => {
  const text = `
# a comment
maxmemory 10mb
MaxMemory 20mb
notify-keyspace-events "K\\"x"
tls-ciphers 'a b'
save 60 1
  save 30 100
`
  t.deepEqual(
    [...parseRedisSettings(text)],
    [
      ['maxmemory', '20mb'],
      ['notify-keyspace-events', 'K"x'],
      ['tls-ciphers', 'a b'],
      ['save', '60 1 30 100'],
    ],
  )
})

test('two of them are compared by directive', (t) => {
  const before = parseRedisSettings('maxmemory 10mb\nhz 10\ntimeout 5')
  const after = parseRedisSettings('hz 20\ntimeout 5\nmaxclients 100')
  t.deepEqual(compareRedisSettings(before, after), {
    changed: [
      ['hz', '20'],
      ['maxclients', '100'],
    ],
    removed: ['maxmemory'],
  })
})
