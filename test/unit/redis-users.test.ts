import test from 'ava'
import { redisRule, redisUsers } from '../../shared/kubedb/databases/users/redis.ts'

const user = `b${'a2'.repeat(13)}`

test('a rule begins with the user and the key of its password, and says neither "user", "on" nor a password', (t) => {
  for (const role of ['owner', 'readWrite', 'readOnly'] as const) {
    for (const version of ['6.2.16', '7.4.6', 'valkey-8.1.1']) {
      const rule = redisRule(user, role, version)
      t.true(rule.startsWith(`${user} \${${user}} ~* &* `), rule)
      t.notRegex(rule, /(^user| on |>)/)
    }
  }
})

test('Redis 6.2 is told nothing that it does not know', (t) => {
  t.regex(redisRule(user, 'readWrite', '7.4.6'), /-function/)
  t.notRegex(redisRule(user, 'readWrite', '6.2.16'), /-function/)
  t.notRegex(redisRule(user, 'readOnly', '6.2.16'), /_ro\b|ssubscribe/)
})

test('an OpsRequest is read as it was written, and KubeDB has its own users besides', (t) => {
  const { type, body } = redisUsers.request(
    { version: '8.2.2' },
    { secret: 'passwords', make: [{ name: user, role: 'owner' }], remove: [`b${'c'.repeat(26)}`] },
  )
  t.is(type, 'Reconfigure')
  t.deepEqual(redisUsers.carried(body), { make: [user], remove: [`b${'c'.repeat(26)}`] })
  const removal = redisUsers.request({ version: '8.2.2' }, { secret: '', make: [], remove: [user] })
  t.deepEqual(removal.body, { configuration: { auth: { deleteUsers: [user] }, restart: 'false' } })
  t.deepEqual(redisUsers.carried({ configuration: { applyConfig: { 'redis.conf': 'hz 20' } } }), {
    make: [],
    remove: [],
  })
  const rules = [`admin \${k1} ~* +@all`, redisRule(user, 'owner', '8.2.2')]
  t.deepEqual(redisUsers.declared({ configuration: { acl: { rules } } }), [user])
  t.deepEqual(redisUsers.declared({}), [])
})
