/** What the benchmark's numbers hang on: what is compared is the same, and what is said to be reached is. */
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { isReached, verdicts } from '../../bench/aims.ts'
import { optionsOf } from '../../bench/options.ts'
import { summary } from '../../bench/page/summary.ts'
import type { Results } from '../../bench/results.ts'
import { Ear, hearing, whenSettled } from '../../bench/talk.ts'

/** As drivers have it: statements take their time. */
class Connection {
  readonly said: string[]
  constructor(said: string[]) {
    this.said = said
  }
  async query(text: string): Promise<void> {
    this.said.push(text)
    await delay(5)
    this.said.push(`answered ${text}`)
  }
}

test('what was said to a database is said again for another user, at once what was said at once', async (t) => {
  const again: string[] = []
  const ear = new Ear<Connection, Connection>(async () => again.push('ended'))
  const { query } = Connection.prototype
  const methods = {
    query(this: Connection, text: string): unknown {
      if (!ear.knows(this)) ear.connects(this, async () => new Connection(again))()
      const answered = ear.says(this, (connection, rename) => connection.query(rename(text)))
      return whenSettled(Reflect.apply(query, this, [text]), answered)
    },
  }
  await hearing(Connection.prototype, methods, async () => {
    const connection = new Connection([])
    await connection.query('CREATE USER one')
    await Promise.all([connection.query('GRANT a TO one'), connection.query('GRANT b TO one')])
  })
  t.is(Connection.prototype.query, query)
  const talk = ear.talk('one')
  t.deepEqual([talk.statements, talk.inTurn], [3, 2])
  await talk.replay('another')
  t.deepEqual(again, [
    'CREATE USER another',
    'answered CREATE USER another',
    'GRANT a TO another',
    'GRANT b TO another',
    'answered GRANT a TO another',
    'answered GRANT b TO another',
    'ended',
  ])
})

test('a refused statement ends what is said again, and its connection', async (t) => {
  const ended: string[] = []
  const ear = new Ear<Connection, string>(async (session) => ended.push(session))
  const client = new Connection([])
  ear.connects(client, async () => 'a session')()
  ear.says(client, async () => {
    throw new Error('no such right')
  })()
  await t.throwsAsync(ear.talk('one').replay('another'), { message: 'no such right' })
  t.deepEqual(ended, ['a session'])
})

const results: Results = {
  cores: 2,
  busy: false,
  node: '26',
  deeds: [
    { name: 'catalog', engine: 'PostgreSQL' },
    { name: 'bind', engine: 'PostgreSQL' },
    { name: 'bind', engine: 'MySQL' },
  ],
  warm: {
    calls: new Map(),
    talks: new Map(),
    way: [1],
    latencies: new Map([
      ['catalog PostgreSQL', { operation: [1], bare: [] }],
      ['bind PostgreSQL', { operation: [1, 2, 3], bare: [2, 2, 2] }],
      ['bind MySQL', { operation: [30, 30], bare: [10, 10] }],
    ]),
  },
  edge: { operation: [2], bare: [1.5] },
}

test('the summary says of each aim whether it is met, and who misses it', (t) => {
  t.deepEqual(
    verdicts(results).map(({ reached }) => reached.map(({ value }) => value)),
    [[1, 3], [0.5]],
  )
  const [, , lines = ''] = summary(results)
  t.deepEqual(lines.split('\n').slice(2), [
    '| Warm operation, p50, in its own bare calls | 1.3 × | 1.0 … 3.0 × | no | bind 3.0 (MySQL) |',
    '| What the edge router adds to a request, p50 | 1.0 ms | 0.5 ms | yes |  |',
  ])
  t.true(isReached(2.04, { most: 2 }))
  t.false(isReached(2.06, { most: 2 }))
})

test('parts and engines can be picked; only all of them make the page', (t) => {
  const { parts, engines, whole } = optionsOf([
    '--only',
    'warm,edge',
    '--engine',
    'Redis',
    '--engine',
    'mysql',
  ])
  t.deepEqual([...parts], ['warm', 'edge'])
  t.deepEqual(
    engines.map(({ name }) => name),
    ['MySQL', 'Redis'],
  )
  t.false(whole)
  t.true(optionsOf([]).whole)
  t.false(optionsOf(['--quick']).whole)
  t.throws(() => optionsOf(['--engine', 'oracle']), {
    message:
      '--engine oracle is not known; there are postgresql, mysql, mongodb, opensearch, redis, memcached',
  })
  t.throws(() => optionsOf(['--only', 'hot']), { message: /cold, warm, edge, load, scale/ })
})
