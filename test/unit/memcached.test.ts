import test from 'ava'
import { memcached } from '../../shared/kubedb/databases/memcached.ts'
import { checkBindingParameters, checkParameters } from '../../shared/osb/parameters/parameters.ts'
import { shippedPlan } from '../support/shipped-catalog.ts'
import { hostile, issuer, issuerRef, reachIn, testsOf } from './kind-changes.ts'
import * as step from './kind-steps.ts'

const { asked, testChanges, testNoWay } = testsOf(memcached, 'memcached')
const inside = { addresses: 'cluster', instance: 'i' } as const

test('a plan becomes a complete spec, which knows no storage', (t) => {
  t.deepEqual(memcached.build({}, { version: '1.6.40' }, inside), {
    version: '1.6.40',
    replicas: 1,
    deletionPolicy: 'WipeOut',
  })
})

test('settings are options of the command line, those without a value only where they are on', (t) => {
  const configuration = { 'memory-limit': 128, 'disable-cas': true, 'disable-evictions': false }
  t.deepEqual(memcached.build({}, { version: '1.6.40', configuration }, inside).configuration, {
    inline: { 'memcached.conf': '--disable-cas\n--memory-limit=128\n' },
  })
})

for (const [parameters, message] of [
  [
    { storage: '1Gi' },
    /^parameters\.storage: Memcached keeps everything in memory and has no disk; leave it out$/,
  ],
  [{ database: 'app' }, /^parameters\.database: Memcached has keys and no databases/],
  [{ shards: 3 }, /^parameters\.shards: Memcached has no shards/],
  [
    { suspended: true },
    /^parameters\.suspended: Memcached keeps everything in memory, and would come back empty/,
  ],
  [{ deletionPolicy: 'Halt' }, /^parameters\.deletionPolicy: Memcached has nothing that could stay/],
] as const) {
  test(`what it does not have is refused with a sentence: ${Object.keys(parameters)}`, (t) => {
    const { plan, kind } = shippedPlan('memcached', 'memcached')
    t.throws(() => checkParameters(plan, kind, parameters, 'create', []), { name: 'BrokerError', message })
  })
}

test('a server without login is refused', (t) => {
  t.throws(() => memcached.build({ disableAuth: true }, { version: '1.6.40' }, inside), {
    name: 'BrokerError',
    message: /disableAuth: anybody in the cluster could read and write/,
  })
})

test('a binding has the one role there is, and a lesser one is refused', (t) => {
  t.deepEqual(checkBindingParameters(memcached, {}), { role: 'owner' })
  t.throws(() => checkBindingParameters(memcached, { role: 'readOnly' }), {
    message: 'parameters.role: "readOnly" is not offered; choose "owner"',
  })
})

testChanges({
  memory: [
    asked('small'),
    asked('small', { memory: '1Gi' }),
    step.resized({ memcached: step.sized('250m', '1Gi') }),
  ],
  servers: [asked('large'), asked('large', { replicas: 5 }), step.scaled({ replicas: 5 })],
  tls: [asked('small'), asked('small', { issuer }), step.recertified({ issuerRef })],
  configuration: [
    asked('small'),
    asked('small', { configuration: { threads: 4 } }),
    step.reconfigured('memcached.conf', '--threads=4\n'),
  ],
  version: [asked('small', { version: '1.6.29' }), asked('small'), step.upgraded('1.6.40')],
})

testNoWay({
  'one server into several': [
    asked('small'),
    asked('large'),
    /replicas: KubeDB cannot make one Memcached server into several/,
  ],
  'several servers into one': [
    asked('large'),
    asked('large', { replicas: 1 }),
    /replicas: .*nor several into one/,
  ],
  'an older version': [
    asked('small'),
    asked('small', { version: '1.6.33' }),
    /version: 1\.6\.40 cannot go back/,
  ],
})

const place = { name: 'osb-x', namespace: 'dbs' }

test('clients are given every server, because keys are spread over them', (t) => {
  const { spec } = asked('large')
  const servers = [0, 1, 2].map((index) => `osb-x-${index}.osb-x-pods.dbs.svc`)
  t.deepEqual(memcached.hosts?.({ ...place, spec }), servers)
})

test('credentials have every key that the AppsCode broker knew, and survive any password', (t) => {
  const reach = reachIn('dbs', {
    // KubeDB's releases say tcp, or nothing
    scheme: '',
    hosts: ['osb-x-0.osb-x-pods.dbs.svc'],
    port: 11211,
  })
  t.deepEqual(memcached.credentials(reach, { name: 'u', password: 'p' }), {
    type: 'memcached',
    provider: 'kubedb',
    protocol: 'memcached',
    Protocol: 'memcached',
    host: 'osb-x.dbs.svc',
    hosts: ['osb-x-0.osb-x-pods.dbs.svc'],
    port: 11211,
    username: 'u',
    password: 'p',
    uri: 'memcached://u:p@osb-x.dbs.svc:11211',
  })
  for (const [name, password] of hostile) {
    const uri = new URL(String(memcached.credentials(reach, { name, password }).uri))
    t.is(decodeURIComponent(uri.username), name)
    t.is(decodeURIComponent(uri.password), password)
  }
})
