/** What is asked of KubeDB for the users of bindings, as tables. */
import test from 'ava'
import {
  planUsers,
  type UserRecord,
  type UsersRequest,
  type UsersSituation,
} from '../../shared/kubedb/bindings/declared-plan.ts'

const record = (user: string, state: UserRecord['state'], more: Partial<UserRecord> = {}): UserRecord => ({
  user,
  state,
  request: 0,
  since: 0,
  settled: false,
  expired: false,
  ...more,
})

const request = (number: number, phase: string, more: Partial<UsersRequest> = {}): UsersRequest => ({
  number,
  phase,
  make: [],
  remove: [],
  created: 5000,
  message: '',
  ...more,
})

const plan = (situation: Partial<UsersSituation>) =>
  planUsers({ declared: [], requests: [], records: [], unreadable: false, ...situation })

const nothing = { made: [], removed: [], failed: [], next: { do: 'nothing' }, over: [] }

test('an instance without bindings needs nothing', (t) => {
  t.deepEqual(plan({}), nothing)
})

test('one request carries all that is pending, and is the next in number', (t) => {
  const records = [
    record('new', 'creating'),
    record('old', 'deleting', { request: 1 }),
    record('kept', 'ready', { request: 1 }),
    record('ended', 'ready', { request: 1, expired: true }),
    record('broken', 'failed'),
  ]
  const requests = [request(1, 'Successful', { make: ['old', 'kept', 'ended'] })]
  t.deepEqual(plan({ records, requests, declared: ['old', 'kept', 'ended'] }).next, {
    do: 'request',
    number: 2,
    make: ['new'],
    remove: ['old', 'ended'],
  })
})

test('a request under way is waited for, whoever made it', (t) => {
  const records = [record('new', 'creating')]
  for (const phase of ['', 'Pending', 'Progressing', 'WaitingForApproval', 'Approved']) {
    for (const number of [0, 1]) {
      const { next } = plan({ records, requests: [request(number, phase, { message: 'busy' })] })
      t.deepEqual(next, { do: 'wait', why: 'busy' }, phase)
    }
  }
  for (const phase of ['Successful', 'Failed', 'Denied', 'Skipped']) {
    t.is(plan({ records, requests: [request(0, phase)] }).next.do, 'request', phase)
  }
})

const cells: {
  [claim: string]: [UserRecord, Partial<UsersSituation>, 'made' | 'removed' | 'make' | 'remove' | 'wait']
} = {
  'asked for and carried out': [
    record('u', 'creating', { request: 1 }),
    { requests: [request(1, 'Successful', { make: ['u'] })] },
    'made',
  ],
  'there by the spec, the request is forgotten': [
    record('u', 'creating', { request: 1 }),
    { requests: [request(2, 'Successful')], declared: ['u'] },
    'made',
  ],
  'there by the spec, but its request was not seen yet': [
    record('u', 'creating', { request: 2 }),
    { requests: [request(1, 'Successful')], declared: ['u'] },
    'make',
  ],
  'skipped, so asked for anew': [
    record('u', 'creating', { request: 1 }),
    { requests: [request(1, 'Skipped', { make: ['u'] })] },
    'make',
  ],
  'failed once, so asked for anew': [
    record('u', 'creating', { request: 1 }),
    { requests: [request(1, 'Failed', { make: ['u'] })], declared: ['u'] },
    'make',
  ],
  'noted, but another took the number': [
    record('u', 'creating', { request: 1 }),
    { requests: [request(1, 'Successful', { make: ['other'] })] },
    'make',
  ],
  'made once and lost with the database': [record('u', 'creating', { request: 1 }), {}, 'make'],
  'cancelled before anybody asked for it': [record('u', 'deleting'), {}, 'removed'],
  'cancelled while somebody may be about to ask': [record('u', 'deleting', { request: 1 }), {}, 'remove'],
  'cancelled so long ago that nobody is about to ask': [
    record('u', 'deleting', { request: 1, settled: true }),
    {},
    'removed',
  ],
  'cancelled long ago, but there': [
    record('u', 'deleting', { request: 1, settled: true }),
    { declared: ['u'] },
    'remove',
  ],
  'cancelled, and the number went to another': [
    record('u', 'deleting', { request: 1 }),
    { requests: [request(1, 'Successful', { make: ['other'] })] },
    'removed',
  ],
  'cancelled while KubeDB is at it': [
    record('u', 'deleting', { request: 1 }),
    { requests: [request(1, 'Progressing', { make: ['u'] })] },
    'wait',
  ],
  'cancelled after a failure that may have made it': [
    record('u', 'deleting', { request: 1 }),
    { requests: [request(1, 'Failed', { make: ['u'] })] },
    'remove',
  ],
  'made, then removed': [
    record('u', 'deleting', { request: 1 }),
    { requests: [request(2, 'Successful', { remove: ['u'] }), request(1, 'Successful', { make: ['u'] })] },
    'removed',
  ],
  'in use, by the spec alone': [
    record('u', 'deleting', { request: 1 }),
    { requests: [request(2, 'Successful')], declared: ['u'] },
    'remove',
  ],
}

for (const [claim, [one, situation, expected]] of Object.entries(cells)) {
  test(`a user ${claim}: ${expected}`, (t) => {
    const { made, removed, next } = plan({ ...situation, records: [one] })
    const found = made.includes('u')
      ? 'made'
      : removed.includes('u')
        ? 'removed'
        : next.do !== 'request'
          ? next.do
          : next.make.includes('u')
            ? 'make'
            : 'remove'
    t.is(found, expected)
  })
}

test('KubeDB is asked three times, and again when the removal is asked for again', (t) => {
  const failures = (list: 'make' | 'remove', count: number) =>
    Array.from({ length: count }, (_, index) =>
      request(index + 1, 'Failed', { [list]: ['u'], message: `failure ${index + 1}`, created: 5000 }),
    )
  const creating = record('u', 'creating', { request: 3 })
  t.is(plan({ records: [creating], requests: failures('make', 2) }).next.do, 'request')
  t.deepEqual(plan({ records: [creating], requests: failures('make', 3) }).failed, [
    { user: 'u', why: 'failure 3' },
  ])
  const deleting = record('u', 'deleting', { request: 3 })
  t.is(plan({ records: [deleting], requests: failures('remove', 3) }).failed.length, 1)
  t.is(
    plan({ records: [{ ...deleting, since: 60_000 }], requests: failures('remove', 3) }).next.do,
    'request',
  )
})

test('a binding that could not be made three times can be given up in the same second', (t) => {
  const requests = [1, 2, 3].map((number) => request(number, 'Failed', { make: ['u'], created: 5000 }))
  const { failed, next } = plan({ requests, records: [record('u', 'deleting', { request: 3, since: 5400 })] })
  t.deepEqual(failed, [])
  t.deepEqual(next, { do: 'request', number: 4, make: [], remove: ['u'] })
})

test('users without a record go, unless a record cannot be read', (t) => {
  t.deepEqual(plan({ declared: ['left'] }).next, { do: 'request', number: 1, make: [], remove: ['left'] })
  t.deepEqual(plan({ declared: ['left'], unreadable: true }), nothing)
})

test('requests are forgotten when nobody asks after them any more, but never the latest', (t) => {
  const requests = [
    request(0, 'Successful'),
    request(1, 'Successful', { make: ['a'] }),
    request(2, 'Failed', { make: ['b'] }),
    request(3, 'Skipped', { remove: ['c'] }),
    request(4, 'Successful', { make: ['d'] }),
  ]
  const records = [record('a', 'ready', { request: 1 }), record('b', 'creating', { request: 2 })]
  t.deepEqual(plan({ records, requests }).over, [1, 3])
})
