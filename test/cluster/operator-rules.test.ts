import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { parseDuration } from '../../sandbox/operator/cluster/duration.ts'
import { type Phase, phaseFromConditions } from '../../sandbox/operator/cluster/phase.ts'
import { parseQuantity } from '../../sandbox/operator/cluster/quantity.ts'
import type { Condition, OpsRequest } from '../../sandbox/operator/cluster/resources.ts'
import { withDefaultResources } from '../../sandbox/operator/kinds/parts/defaults.ts'
import {
  mergeDirectives,
  mergeSections,
  mergeSettings,
  mergeYaml,
} from '../../sandbox/operator/kinds/parts/settings-text.ts'
import { isUpgradable, parseVersion, satisfies } from '../../sandbox/operator/kinds/parts/versions.ts'
import { aclLine, changedRules } from '../../sandbox/operator/kinds/redis-acl.ts'
import { replaced, selectOps } from '../../sandbox/operator/ops/selection.ts'
import { workQueue } from '../../sandbox/operator/work-queue.ts'

/** `A` is True, `!A` is False. */
function conditions(text: string): Condition[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => ({
      type: word.replace('!', ''),
      status: word.startsWith('!') ? 'False' : 'True',
      reason: '',
      message: '',
      lastTransitionTime: '',
    }))
}

const phases: [conditions: string, phase: Phase][] = [
  ['', ''],
  ['ProvisioningStarted', 'Provisioning'],
  ['ProvisioningStarted !ReplicaReady', 'Provisioning'],
  ['ProvisioningStarted !AcceptingConnection !Ready', 'Provisioning'],
  ['ProvisioningStarted ReplicaReady AcceptingConnection Ready', 'Provisioning'],
  ['ProvisioningStarted ReplicaReady AcceptingConnection Ready Provisioned', 'Ready'],
  ['ProvisioningStarted ReplicaReady AcceptingConnection !Ready Provisioned', 'Critical'],
  ['ProvisioningStarted !ReplicaReady AcceptingConnection Ready Provisioned', 'Critical'],
  ['ProvisioningStarted !ReplicaReady !AcceptingConnection !Ready Provisioned', 'NotReady'],
  ['ProvisioningStarted ReplicaReady !AcceptingConnection Ready Provisioned', 'NotReady'],
  ['ProvisioningStarted Provisioned', 'Provisioning'],
  ['ProvisioningStarted ReplicaReady AcceptingConnection Ready Provisioned Paused', 'Ready'],
  ['ProvisioningStarted !AcceptingConnection !Ready Provisioned Halted', 'Halted'],
  ['ProvisioningStarted Halted HealthCheckPaused', 'Unknown'],
  ['ProvisioningStarted DataRestoreStarted', 'DataRestoring'],
  ['ProvisioningStarted DataRestoreStarted !DataRestored', 'NotReady'],
  ['ProvisioningStarted !DataRestored', 'NotReady'],
  ['ProvisioningStarted DataRestoreStarted DataRestored Ready Provisioned', 'Ready'],
]

for (const [text, phase] of phases)
  test(`phase of "${text}" is "${phase}"`, (t) => t.is(phaseFromConditions(conditions(text)), phase))

const quantities: [text: string | number, value: number][] = [
  ['1', 1],
  [2, 2],
  ['500m', 0.5],
  ['.200', 0.2],
  ['1Ki', 1024],
  ['1.5Gi', 1.5 * 2 ** 30],
  ['1e3', 1000],
  ['2E', 2e18],
]
for (const [text, value] of quantities)
  test(`quantity ${text} is ${value}`, (t) => t.is(parseQuantity(text), value))

for (const text of ['', 'many', '1GiB', '1 Gi'])
  test(`"${text}" is no quantity`, (t) => {
    t.throws(() => parseQuantity(text), { message: /is not a quantity/ })
  })

const durations: [text: string, milliseconds: number][] = [
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['0', 0],
]
for (const [text, milliseconds] of durations)
  test(`duration ${text} is ${milliseconds} ms`, (t) => t.is(parseDuration(text), milliseconds))

for (const text of ['', '5', '5 m', 'soon'])
  test(`"${text}" is no duration`, (t) => {
    t.throws(() => parseDuration(text), { message: /is not a duration/ })
  })

const constraints: [version: string, constraint: string, met: boolean][] = [
  ['18.3', '>= 17.5', true],
  ['17.4', '>= 17.5', false],
  ['16.8', '>= 10.23, <= 16.8', true],
  ['16.13', '>= 10.23, <= 16.8', false],
  ['6.0.0', '>= 4.4.26, < 6.0.0', false],
  ['17.4.1', '17.4', true],
  ['17.5', '!= 17.4', true],
  ['9.0', '< 8 || >= 9', true],
]
for (const [version, constraint, met] of constraints)
  test(`${version} ${met ? 'meets' : 'does not meet'} ${constraint}`, (t) =>
    t.is(satisfies(parseVersion(version), constraint), met))

test('a version is never left for an older one', (t) => {
  t.false(isUpgradable('17.5', '16.13', {}))
  t.true(isUpgradable('17.5', '18.3', {}))
  t.true(isUpgradable('17.5', '17.5', { allowlist: ['>= 17.5'] }))
  t.false(isUpgradable('17.5', '18.3', { allowlist: ['>= 17.5'], denylist: ['18.3'] }))
})

test('settings are merged by name; comments go, what is no setting stays for the server to refuse', (t) => {
  const base = '# ours\nmax_connections = 100\nwork_mem=1MB\n'
  t.is(mergeSettings(base, 'Max_Connections=200\nnonsense'), 'Max_Connections=200\nwork_mem=1MB\nnonsense\n')
  t.is(mergeSettings('', ''), '')
})

test('directives that may come several times are replaced all at once', (t) => {
  const base = '# ours\nsave 900 1\nsave 300 10\nmaxmemory 1mb\n'
  t.is(mergeDirectives(base, 'SAVE 60 1'), 'maxmemory 1mb\nSAVE 60 1\n')
  t.is(mergeDirectives('--conn-limit=100\n-m 64', '--conn-limit=200'), '-m 64\n--conn-limit=200\n')
})

test('settings in sections are merged within their section, whatever joins their words', (t) => {
  const base = '[client]\nport = 1\n[mysqld]\nmax_connections = 100\nskip-log-bin\n'
  t.is(
    mergeSections(base, '[mysqld]\nmax-connections=200\nport = 2'),
    '[client]\nport = 1\n[mysqld]\nmax-connections=200\nskip-log-bin\nport = 2\n',
  )
})

test('YAML is merged by key; what is no YAML is refused', (t) => {
  t.is(
    mergeYaml('net: {port: 1, tls: {mode: a}}', 'net: {tls: {mode: b}}'),
    'net:\n  port: 1\n  tls:\n    mode: b\n',
  )
  t.is(mergeYaml('', ''), '')
  t.throws(() => mergeYaml('', 'a: [1'))
})

/** How a rule names a key of its Secret. */
const keyed = (key: string) => `\${${key}}`

test('a rule of Redis becomes a line of an ACL file, with the password of its key', (t) => {
  t.is(aclLine(`ann ${keyed('k-1')} ~* &* +@all`, { 'k-1': 'secret' }), 'user ann on >secret ~* &* +@all')
  t.throws(() => aclLine(`ann ${keyed('gone')} ~*`, {}), { message: /user ann wants the key "gone"/ })
  t.throws(() => aclLine(`ann ${keyed('k')} ~*`, { k: 'two words' }), { message: /white space/ })
  t.deepEqual(changedRules(['ann a', 'bob b'], ['bob c', 'cleo d'], ['ann']), ['bob c', 'cleo d'])
})

test('requests and limits fill each other before the defaults do', (t) => {
  const defaults = { requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '1Gi' } }
  t.deepEqual(withDefaultResources({}, defaults), defaults)
  t.deepEqual(withDefaultResources({ requests: { memory: '2Gi' } }, defaults), {
    requests: { memory: '2Gi', cpu: '500m' },
    limits: { memory: '2Gi' },
  })
  t.deepEqual(withDefaultResources({ limits: { memory: '512Mi', cpu: '2' } }, defaults), {
    requests: { memory: '512Mi', cpu: '2' },
    limits: { memory: '512Mi', cpu: '2' },
  })
})

function ops(name: string, type: string, phase: string, apply = 'IfReady', second = 0): OpsRequest {
  return {
    metadata: {
      name,
      namespace: 'ns',
      uid: name,
      generation: 1,
      creationTimestamp: `2026-01-01T00:00:0${second}Z`,
      finalizers: [],
      labels: {},
      annotations: {},
      ownerReferences: [],
    },
    spec: { type, databaseRef: { name: 'pg' }, apply },
    status: { phase, conditions: [] },
  }
}

const ready = { phase: 'Ready', halted: false }
const critical = { phase: 'Critical', halted: false }

test('the request in progress comes first', (t) => {
  const requests = [ops('a', 'Restart', 'Pending'), ops('b', 'RotateAuth', 'Progressing', 'IfReady', 1)]
  t.like(selectOps(requests, ready), { do: 'advance', request: { metadata: { name: 'b' } } })
})

test('the oldest waiting request is started', (t) => {
  const requests = [ops('a', 'Restart', 'Pending', 'IfReady', 1), ops('b', 'RotateAuth', '')]
  t.like(selectOps(requests, ready), { do: 'start', request: { metadata: { name: 'b' } } })
})

test('only apply: Always is started on a database that is not Ready', (t) => {
  const requests = [ops('a', 'Restart', 'Pending'), ops('b', 'VolumeExpansion', 'Pending', 'Always', 1)]
  t.like(selectOps(requests, critical), { do: 'start', request: { metadata: { name: 'b' } } })
  t.is(selectOps(requests.slice(0, 1), critical).do, 'wait')
})

test('a halted database takes no request, a database without requests has nothing to do', (t) => {
  t.is(selectOps([ops('a', 'Restart', 'Pending', 'Always')], { phase: 'Halted', halted: true }).do, 'wait')
  t.is(selectOps([ops('a', 'Restart', 'Successful')], ready).do, 'nothing')
})

test('of waiting requests of one type all but the newest are replaced', (t) => {
  const requests = [
    ops('running', 'Restart', 'Progressing'),
    ops('old', 'Restart', 'Pending', 'IfReady', 1),
    ops('other', 'RotateAuth', 'Pending', 'IfReady', 1),
    ops('new', 'Restart', '', 'IfReady', 2),
  ]
  t.deepEqual(
    replaced(requests).map(({ metadata }) => metadata.name),
    ['old'],
  )
})

test('the work queue runs a key once at a time, and again if asked meanwhile', async (t) => {
  const runs: string[] = []
  let running = 0
  let most = 0
  const queue = workQueue(
    async (key) => {
      runs.push(key)
      most = Math.max(most, ++running)
      await sleep(30)
      running--
      return undefined
    },
    (_key, error) => t.fail(String(error)),
  )
  queue.add('a')
  queue.add('a')
  await sleep(15)
  queue.add('a')
  queue.add('a')
  await sleep(120)
  await queue.stop()
  t.deepEqual(runs, ['a', 'a'])
  t.is(most, 1)
})

test('the work queue tries a failed key again, and takes the sooner of two wishes', async (t) => {
  let failures = 0
  const times: number[] = []
  const queue = workQueue(
    async (key) => {
      if (key === 'late') {
        times.push(Date.now())
        return undefined
      }
      if (failures === 0) throw new Error('once')
      return undefined
    },
    () => {
      failures++
    },
  )
  const begin = Date.now()
  queue.add('failing')
  queue.add('late', 60_000)
  queue.add('late', 10)
  await sleep(400)
  await queue.stop()
  t.is(failures, 1)
  t.is(times.length, 1)
  t.true((times[0] ?? 0) - begin < 300)
})
