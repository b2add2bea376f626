import test from 'ava'
import { brokerRoles, databaseRoles } from '../../generate/roles.ts'
import { allPermissions, useIn, wordsOf } from '../support/used-permissions.ts'
import { withholding } from '../support/withheld-permission.ts'

const namespaces = { broker: 'broker-1', databases: 'databases-1' }
const kind = { plural: 'postgreses', opsPlural: 'postgresopsrequests', versionsPlural: 'postgresversions' }

/** A line of an audit log: what the function `bind` asked for, but for what the test says. */
function line(more: object = {}): string {
  return JSON.stringify({
    userAgent: 'kubedb-service-broker',
    user: { username: 'system:serviceaccount:broker-1:osb-bind' },
    verb: 'get',
    requestReceivedTimestamp: '2026-01-02T03:04:05.678901Z',
    objectRef: { resource: 'appbindings', namespace: 'broker-1', name: 'osb-i-x' },
    responseStatus: { code: 200 },
    ...more,
  })
}

const used = (more?: object) => {
  const use = useIn(line(more))
  return use && wordsOf(use.permission)
}

test('a line of the audit log tells of the permission that was used', (t) => {
  t.deepEqual(useIn(line()), {
    permission: { function: 'bind', verb: 'get', target: 'records' },
    namespace: 'broker-1',
    at: Date.parse('2026-01-02T03:04:05.678Z'),
  })
  t.is(used({ responseStatus: { code: 404 } }), 'bind: get records')
  t.is(
    used({ objectRef: { resource: 'appbindings', namespace: 'databases-1' } }),
    'bind: get appBindings',
    'the same resource elsewhere is another permission',
  )
  t.is(used({ objectRef: { resource: 'redisversions' } }), 'bind: get versions')
  t.is(
    used({
      user: { username: 'system:serviceaccount:broker-1:osb-dashboard' },
      verb: 'list',
      objectRef: { resource: 'pods', namespace: 'databases-1' },
    }),
    'dashboard: list pods',
  )
})

test('what was refused, or asked by anybody else, is no use', (t) => {
  t.is(used({ responseStatus: { code: 403 } }), undefined)
  t.is(used({ userAgent: 'node' }), undefined)
  t.is(used({ user: { username: 'system:serviceaccount:broker-1:default' } }), undefined)
  t.is(used({ user: { username: 'admin' } }), undefined)
  t.is(used({ objectRef: undefined }), undefined)
  t.is(used({ objectRef: { resource: 'configmaps', namespace: 'broker-1' } }), undefined)
})

test('every verb of the route map is a permission', (t) => {
  const words = allPermissions().map(wordsOf)
  t.is(new Set(words).size, words.length)
  t.true(words.includes('bind: get records'))
  t.true(words.includes('update: list versions'))
  t.true(words.includes('dashboard: list events'))
})

test('a withheld permission is in no role that is written, and every other one is', async (t) => {
  const written: object[] = []
  const administrator = withholding(
    async (_method, _path, body) => {
      written.push(Object(body))
      return { status: 200, body: '' }
    },
    namespaces,
    'bind: get appBindings',
  )
  const roles = [...brokerRoles(namespaces), ...databaseRoles(namespaces, [kind])]
  for (const role of roles) await administrator('PATCH', '/', role)
  const isWhatLacksIt = (role: (typeof roles)[number]) =>
    role.kind === 'Role' && role.metadata.name === 'osb-bind' && role.metadata.namespace === 'databases-1'
  const lacking = roles.findIndex(isWhatLacksIt)
  t.deepEqual(written.toSpliced(lacking, 1), roles.toSpliced(lacking, 1))
  const { rules } = Object(written[lacking])
  const whole = roles[lacking]
  t.deepEqual(
    rules,
    whole && 'rules' in whole && whole.rules.filter((rule) => !rule.resources.includes('appbindings')),
  )
  t.throws(() => withholding(administrator, namespaces, 'bind: get everything'), {
    message: 'the route map has no permission "bind: get everything"',
  })
})
