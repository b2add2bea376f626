/** Bindings' users inside MongoDB: what they may do, how they come and go. */
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { MongoClient } from 'mongodb'
import * as v from 'valibot'
import { Unreachable, type Users } from '../../shared/kubedb/databases/database.ts'
import { mongodb } from '../../shared/kubedb/databases/mongodb.ts'
import { connect } from '../../shared/kubedb/databases/users/mongodb.ts'
import { adminOf } from '../support/admin.ts'
import { account, assertUnreachable, conspicuous, roles, usersOver } from './binding-users.ts'
import { type MongoServer, MongoServers, outcome, refusal, type Shape } from './mongodb-server.ts'
import { Relay } from './relay.ts'

const servers = new MongoServers()
test.after.always(() => servers.stop())

const shapes: readonly Shape[] = ['standalone', 'replicaSet', 'sharded']
const denied = 13
const loggedOut = /requires authentication/

const testCommands = { config: 'setParameter: {enableTestCommands: true}' }
const started = new Map<Shape, Promise<MongoServer>>()
/** most tests can live with what others left in the server */
function common(shape: Shape = 'standalone'): Promise<MongoServer> {
  const server = started.get(shape) ?? servers.start(shape, testCommands)
  started.set(shape, server)
  return server
}

const { using, bind, unbind, bindEach, createAtOnce, ...claims } = usersOver(connect)

/** As a person at the server would do it. */
async function byHand(server: MongoServer, command: object): Promise<void> {
  await (await server.client()).db('admin').command(command)
}

/** Makes the next commands of these names fail as `data` says. */
function failNext(server: MongoServer, times: number, data: object): Promise<void> {
  return byHand(server, { configureFailPoint: 'failCommand', mode: { times }, data })
}

for (const shape of shapes) {
  test.serial(`${shape}: each role may do what it is for, and nothing beyond`, async (t) => {
    const server = await common(shape)
    const root = await server.client()
    await root.db('other').collection('secrets').insertOne({ n: 1 })
    const bound = await bindEach(server)
    const index = { indexes: [{ key: { n: 1 }, name: 'n' }] }
    const ok = 'ok' as const
    // what the stand-in lets through and does not carry out
    const let_ = 238
    type Outcome = 'ok' | number
    const expectations: [
      db: string,
      command: object,
      owner: Outcome,
      readWrite: Outcome,
      readOnly: Outcome,
    ][] = [
      ['app', { insert: 'books', documents: [{ n: 1 }] }, ok, ok, denied],
      ['app', { find: 'books' }, ok, ok, ok],
      ['app', { count: 'books' }, ok, ok, ok],
      ['app', { aggregate: 'books', pipeline: [{ $match: {} }], cursor: {} }, ok, ok, ok],
      ['app', { aggregate: 'books', pipeline: [{ $out: 'copy' }], cursor: {} }, let_, let_, denied],
      [
        'app',
        { aggregate: 'books', pipeline: [{ $out: { db: 'other', coll: 'x' } }], cursor: {} },
        denied,
        denied,
        denied,
      ],
      ['app', { update: 'books', updates: [{ q: {}, u: { $set: { n: 2 } } }] }, ok, ok, denied],
      ['app', { delete: 'books', deletes: [{ q: { n: 9 }, limit: 0 }] }, ok, ok, denied],
      ['app', { findAndModify: 'books', query: { n: 9 }, remove: true }, ok, ok, denied],
      ['app', { create: 'more' }, ok, ok, denied],
      ['app', { createIndexes: 'books', ...index }, ok, ok, denied],
      ['app', { dropIndexes: 'books', index: 'n' }, ok, ok, denied],
      ['app', { listCollections: 1 }, ok, ok, ok],
      ['app', { listIndexes: 'books' }, ok, ok, ok],
      ['app', { drop: 'more' }, ok, ok, denied],
      ['app', { collMod: 'books' }, let_, denied, denied],
      ['app', { validate: 'books' }, let_, denied, denied],
      ['app', { profile: 1 }, let_, denied, denied],
      ['app', { createUser: 'x', pwd: 'x', roles: [] }, denied, denied, denied],
      ['app', { createRole: 'x', privileges: [], roles: [] }, denied, denied, denied],
      ['app', { usersInfo: 1 }, denied, denied, denied],
      ['app', { grantRolesToUser: 'x', roles: [{ role: 'dbOwner', db: 'app' }] }, denied, denied, denied],
      ['other', { find: 'secrets' }, denied, denied, denied],
      ['other', { insert: 'secrets', documents: [{}] }, denied, denied, denied],
      ['other', { listCollections: 1 }, denied, denied, denied],
      ['other', { dropDatabase: 1 }, denied, denied, denied],
      ['local', { find: 'startup_log' }, denied, denied, denied],
      ['config', { find: 'settings' }, denied, denied, denied],
      ['admin', { find: 'system.users' }, denied, denied, denied],
      ['admin', { usersInfo: 'root', showCredentials: true }, denied, denied, denied],
      ['admin', { createUser: 'x', pwd: 'x', roles: ['root'] }, denied, denied, denied],
      ['admin', { updateUser: 'root', pwd: 'x' }, denied, denied, denied],
      ['admin', { updateUser: bound.owner.name, pwd: 'x' }, denied, denied, denied],
      ['admin', { updateUser: bound.readOnly.name, roles: ['root'] }, denied, denied, denied],
      ['admin', { grantRolesToUser: bound.owner.name, roles: ['root'] }, denied, denied, denied],
      ['admin', { dropUser: bound.owner.name }, denied, denied, denied],
      ['admin', { dropUser: 'root' }, denied, denied, denied],
      ['admin', { dropAllUsersFromDatabase: 1 }, denied, denied, denied],
      ['admin', { listDatabases: 1, authorizedDatabases: false }, denied, denied, denied],
      ['admin', { getParameter: '*' }, denied, denied, denied],
      ['admin', { setParameter: 1, logLevel: 5 }, denied, denied, denied],
      ['admin', { getLog: 'global' }, denied, denied, denied],
      ['admin', { getCmdLineOpts: 1 }, denied, denied, denied],
      ['admin', { currentOp: 1 }, denied, denied, denied],
      ['admin', { killOp: 1, op: 1 }, denied, denied, denied],
      ['admin', { killAllSessions: [] }, denied, denied, denied],
      ['admin', { shutdown: 1 }, denied, denied, denied],
      ['admin', { fsync: 1, lock: true }, denied, denied, denied],
      ['admin', { replSetReconfig: {} }, denied, denied, denied],
      ['admin', { invalidateUserCache: 1 }, denied, denied, denied],
      ['app', { dropDatabase: 1 }, ok, denied, denied],
    ]
    for (const role of [...roles].reverse()) {
      const client = await server.client(bound[role])
      // the owner comes last: it takes the database away
      for (const [db, command, ...expected] of expectations) {
        const what = `${role} on ${db}: ${inspect(command)}`
        if ('find' in command && db === 'app') await root.db('app').collection('books').insertOne({ n: 3 })
        t.is(await outcome(client.db(db).command(command)), expected[roles.indexOf(role)] ?? ok, what)
      }
    }
  })

  test.serial(`${shape}: the credentials work as they come, in the ordinary driver`, async (t) => {
    const server = await common(shape)
    const reach = server.admin()
    for (const role of roles) {
      const made = await bind(server, role)
      const credentials = mongodb.credentials(
        { ...reach, hosts: mongodb.hosts?.(reach) ?? [reach.host] },
        made,
      )
      const { uri, database } = v.parse(v.object({ uri: v.string(), database: v.string() }), credentials)
      const client = new MongoClient(uri, { serverSelectionTimeoutMS: 3000 })
      const books = client.db().collection('shelf')
      t.is(client.db().databaseName, database)
      t.is(await outcome(books.insertOne({ n: 1 })), role === 'readOnly' ? denied : 'ok')
      t.is(await outcome(books.findOne()), 'ok')
      await client.close()
    }
  })

  test.serial(
    `${shape}: the open connections of a user that was dropped are useless, on every member`,
    async (t) => {
      const server = await common(shape)
      const gone = await bind(server)
      const stays = await bind(server)
      const members = shape === 'standalone' ? [undefined] : [0, 1]
      const clients = await Promise.all(
        members.map((member) => server.client(gone, { readPreference: 'primaryPreferred' }, member)),
      )
      for (const client of clients) await client.db('app').collection('books').findOne()
      const other = await server.client(stays)
      await unbind(server, gone)
      for (const client of clients) {
        t.regex(await refusal(client.db('app').collection('books').findOne()), loggedOut)
        t.regex(await refusal(client.db('app').command({ usersInfo: gone.name })), loggedOut)
      }
      t.is(await outcome(server.client(gone)), 18)
      t.is(await outcome(other.db('app').collection('books').insertOne({})), 'ok')
    },
  )

  test.serial(`${shape}: what a dropped user waits for ends, and its cursors are closed`, async (t) => {
    const server = await common(shape)
    const [owner, gone] = [await bind(server), await bind(server)]
    const database = (await server.client(owner)).db('app')
    const name = `queue${gone.name}`
    await database.createCollection(name, { capped: true, size: 4096 })
    await database.collection(name).insertOne({ n: 1 })
    await database.collection('many').insertMany([{}, {}, {}])
    const member = shape === 'standalone' ? undefined : 1
    const client = await server.client(gone, { readPreference: 'primaryPreferred' }, member)
    const queue = client.db('app').collection(name)
    const cursor = queue.find({}, { tailable: true, awaitData: true, maxAwaitTimeMS: 20_000 })
    t.is((await cursor.next())?.n, 1)
    const waiting = outcome(cursor.next())
    // one that nobody asks any more
    await client.db('app').collection('many').find().batchSize(1).next()
    const root = await server.client(undefined, { readPreference: 'primaryPreferred' }, member)
    const openCursors = async () => {
      const cursors = { $match: { 'effectiveUsers.user': gone.name, type: 'idleCursor' } }
      const found = root
        .db('admin')
        .aggregate([{ $currentOp: { allUsers: true, idleCursors: true } }, cursors])
      return (await found.toArray()).length
    }
    await sleep(50)
    t.is(await openCursors(), 2)
    const before = Date.now()
    await unbind(server, gone)
    t.is(await waiting, 11601)
    t.true(Date.now() - before < 3000)
    t.is(await openCursors(), 0)
  })
}

test.serial('what runs outside of a session ends too', async (t) => {
  const server = await common()
  const gone = await bind(server)
  const client = await server.client(gone)
  await failNext(server, 1, { failCommands: ['insert'], blockConnection: true, blockTimeMS: 20_000 })
  // a write whose answer nobody waits for has no session
  await client
    .db('app')
    .collection('books')
    .insertOne({ late: gone.name }, { writeConcern: { w: 0 } })
  const root = await server.client()
  const underWay = async () => {
    const { inprog } = await root.db('admin').command({ currentOp: 1, 'effectiveUsers.user': gone.name })
    return inprog.length
  }
  while ((await underWay()) === 0) await sleep(10)
  await byHand(server, { killAllSessions: [{ user: gone.name, db: 'admin' }] })
  t.is(await underWay(), 1)
  await unbind(server, gone)
  t.is(await underWay(), 0)
  t.is(await root.db('app').collection('books').countDocuments({ late: gone.name }), 0)
})

test.serial('a user that is not what it should be is made so', async (t) => {
  const server = await common()
  const made = await bind(server, 'readWrite')
  const damages: [title: string, command: object][] = [
    ['another password', { updateUser: made.name, pwd: 'x' }],
    ['no role', { updateUser: made.name, roles: [] }],
    ['a role too many', { grantRolesToUser: made.name, roles: [{ role: 'dbOwner', db: 'app' }] }],
    ['a role elsewhere', { updateUser: made.name, roles: [{ role: 'readWrite', db: 'other' }] }],
    ['another role', { updateUser: made.name, roles: [{ role: 'read', db: 'app' }] }],
    ['shut out', { updateUser: made.name, authenticationRestrictions: [{ clientSource: ['10.0.0.1'] }] }],
    ['dropped', { dropUser: made.name }],
  ]
  for (const [title, command] of damages) {
    await claims.assertRepaired(t, server, made, () => byHand(server, command), title)
    const client = await server.client(made)
    t.is(await outcome(client.db('app').collection('books').insertOne({})), 'ok', title)
    t.is(await outcome(client.db('app').command({ profile: 1 })), denied, title)
  }
  await using(server.admin(), async (users) => {
    t.false(await users.works({ ...made, password: 'y' }))
    t.false(await users.works({ ...made, role: 'owner' }))
    t.false(await users.works(account()))
  })
})

test.serial('many binds and unbinds at once all succeed', async (t) => {
  const server = await servers.start('replicaSet')
  await claims.assertAllAtOnce(t, server, 12)
})

test.serial('one account made many times at once is made once, and dropped by several at once', async (t) => {
  const server = await common()
  const made = await createAtOnce(server, 6)
  t.is(await outcome(server.client(made)), 'ok')
  await Promise.all([unbind(server, made), unbind(server, made), unbind(server, made)])
  await unbind(server, made)
  t.is(await outcome(server.client(made)), 18)
})

test.serial('a race that is lost at the server is run again', async (t) => {
  const server = await common()
  for (const errorCode of [51003, 117, 112]) {
    const made = account()
    await failNext(server, 2, { failCommands: ['createUser'], errorCode })
    await using(server.admin(), (users) => users.create(made))
    await failNext(server, 2, { failCommands: ['dropUser'], errorCode: 112 })
    await using(server.admin(), (users) => users.drop(made.name))
    t.is(await outcome(server.client(made)), 18)
  }
})

test.serial('what the server cannot do just now is told from what it refuses', async (t) => {
  const server = await common()
  const attempt = (data: object) =>
    failNext(server, 20, { failCommands: ['createUser'], ...data }).then(() =>
      using(server.admin(), (users) => users.create(account())),
    )
  for (const errorCode of [10107, 189, 11602, 91, 50]) {
    const error = await t.throwsAsync(attempt({ errorCode }), { instanceOf: Unreachable })
    t.regex(error.message, new RegExp(`could not create the user just now: .*\\(${errorCode}\\)`))
  }
  const missing = await t.throwsAsync(
    attempt({ writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } }),
    {
      instanceOf: Unreachable,
    },
  )
  t.regex(missing.message, /could not create the user just now: waiting for replication timed out \(64\)/)
  const refused = await t.throwsAsync(attempt({ errorCode: 13 }), {
    message: /^MongoDB refused to create the user: .*\(13\)/,
  })
  t.false(refused instanceof Unreachable)
  await byHand(server, { configureFailPoint: 'failCommand', mode: 'off' })
})

test.serial("drop and create touch no name that is not ours, and no database of MongoDB's own", async (t) => {
  const server = await common()
  await byHand(server, { createUser: 'bystander', pwd: 'x', roles: [] })
  await claims.assertLeavesOthersAlone(t, server, ['bystander', 'root'])
  for (const database of [
    'admin',
    'Admin',
    'config',
    'local',
    '',
    'a.b',
    'a b',
    'a$b',
    'a/b',
    'a"b',
    'x'.repeat(64),
    'ü'.repeat(32),
  ]) {
    await using(server.admin({ database }), async (users) => {
      await t.throwsAsync(
        users.create(account()),
        { message: /cannot be the application's database/ },
        database,
      )
    })
  }
  await byHand(server, { dropUser: 'bystander' })
})

test.serial("the application's database may have any name that MongoDB takes", async (t) => {
  const server = await common()
  for (const database of [
    "a'b",
    'ünï☃',
    '-',
    '{a;b}&c=d#e@f%41',
    'x'.repeat(63),
    '__proto__',
    'constructor',
  ]) {
    const made = await bind(server, 'readWrite', { database })
    const reach = { ...server.admin(), database }
    const { uri } = v.parse(v.object({ uri: v.string() }), mongodb.credentials(reach, made))
    const client = new MongoClient(uri)
    t.is(await outcome(client.db().collection('t').insertOne({})), 'ok', database)
    t.is(client.db().databaseName, database)
    t.is(await outcome(client.db('app').collection('books').insertOne({})), denied, database)
    await client.close()
  }
})

const nowhere = adminOf({ port: 1, username: 'root', password: 'Of the administrator' })

/** The driver gives up a server that hangs within its own five seconds. */
async function untilClosed(t: ExecutionContext, relay: Relay): Promise<void> {
  for (let waited = 0; relay.open > 0 && waited < 7000; waited += 50) await sleep(50)
  const left = relay.open
  await relay.stop()
  t.is(left, 0)
}

test('a port where nobody listens, and a name that nobody has', async (t) => {
  const deadline = Date.now() + 20_000
  await assertUnreachable(t, connect({ ...nowhere, deadline }), /ECONNREFUSED/, 2000)
  await assertUnreachable(t, connect({ ...nowhere, host: 'db.invalid', deadline }), /db\.invalid/, 4000)
  const set = { spec: { replicaSet: { name: 'rs0' } }, hosts: ['127.0.0.1', '127.0.0.2', '127.0.0.3'] }
  await assertUnreachable(t, connect({ ...nowhere, ...set, deadline }), /ECONNREFUSED/, 2000)
  await assertUnreachable(t, connect({ ...nowhere, deadline: Date.now() - 1 }), /deadline|ECONNREFUSED/, 2000)
  const signal = AbortSignal.abort()
  await assertUnreachable(t, connect({ ...nowhere, deadline, signal }), /gone away/, 1000)
})

test('a server that accepts and never answers is given up after five seconds', async (t) => {
  const relay = await Relay.start()
  const admin = { ...nowhere, port: relay.port, deadline: Date.now() + 20_000 }
  const set = { spec: { replicaSet: { name: 'rs0' } } }
  const caller = new AbortController()
  setTimeout(() => caller.abort(), 300)
  await Promise.all([
    assertUnreachable(t, connect(admin), /within 5 s|timed out/, 6000, 'alone'),
    assertUnreachable(t, connect({ ...admin, ...set }), /within 5 s|timed out/, 6000, 'set'),
    assertUnreachable(
      t,
      connect({ ...admin, deadline: Date.now() + 400 }),
      /deadline|timed out/,
      2000,
      'deadline',
    ),
    assertUnreachable(t, connect({ ...admin, signal: caller.signal }), /gone away/, 2000, 'signal'),
  ])
  await untilClosed(t, relay)
})

test.serial('a wrong password is said', async (t) => {
  const server = await common()
  await assertUnreachable(
    t,
    connect(server.admin({ password: 'no' })),
    /refuses the password of administrator "root".*rotating/,
    3000,
  )
})

test.serial('a server that falls silent in the middle is given up at the deadline', async (t) => {
  const server = await common()
  const relay = await Relay.start(27017, server.instance.address)
  const admin = server.admin({ host: '127.0.0.1', port: relay.port, deadline: Date.now() + 1000 })
  const users = await connect(admin)
  relay.silentAfter(0, true, () => {})
  await assertUnreachable(t, users.list(), /did not answer before the request's deadline|MaxTimeMS/, 3000)
  await assertUnreachable(t, users.list(), /did not answer before the request's deadline/, 100)
  await users.close()
  await untilClosed(t, relay)
})

/** @returns once the work has ended, cut off or, beyond its last message, well */
async function assertCut(t: ExecutionContext, work: Promise<unknown>, what: string): Promise<void> {
  const start = Date.now()
  try {
    await work
  } catch (error) {
    t.true(error instanceof Unreachable && /gone away/.test(error.message), `${what}: ${inspect(error)}`)
    t.false(inspect(error, { depth: 12 }).includes(conspicuous.password), what)
  }
  t.true(Date.now() - start < 2000, what)
}

for (const call of ['create', 'drop'] as const) {
  test.serial(`${call} cut off at any message leaves nothing that the next one does not mend`, async (t) => {
    const server = await common()
    const relay = await Relay.start(27017, server.instance.address)
    const through = { host: '127.0.0.1', port: relay.port }
    const work = (users: Users) =>
      call === 'create' ? users.create(conspicuous) : users.drop(conspicuous.name)
    const prepare = async () => {
      relay.relayAll()
      await using(server.admin(), (users) =>
        call === 'create' ? users.drop(conspicuous.name) : users.create(conspicuous),
      )
    }
    let done = false
    let count = 0
    for (; !done; count++) {
      for (const forwardsNext of [false, true]) {
        const what = `message ${count}, ${forwardsNext ? 'after' : 'before'} it got through`
        await prepare()
        const caller = new AbortController()
        relay.silentAfter(count, forwardsNext, () => setTimeout(() => caller.abort(), 20))
        const admin = server.admin({ ...through, signal: caller.signal, deadline: Date.now() + 3000 })
        const cut = using(admin, async (users) => {
          await work(users)
          done = true
        })
        await assertCut(t, cut, what)
        await using(server.admin(), async (users) => {
          await work(users)
          t.is((await users.list()).includes(conspicuous.name), call === 'create', what)
          t.is(await users.works(conspicuous), call === 'create', what)
        })
      }
    }
    t.true(count > 5)
    await untilClosed(t, relay)
  })
}

test.serial('a connection that the server ends is told, and ends nothing else', async (t) => {
  const server = await servers.start('standalone', testCommands)
  const users = await connect(server.admin())
  await failNext(server, 1, { failCommands: ['usersInfo'], closeConnection: true })
  await assertUnreachable(t, users.list(), /closed/, 3000)
  // the driver has connected again
  t.deepEqual(await users.list(), [])
  await server.kill()
  await assertUnreachable(t, users.list(), /closed|ECONNREFUSED|timed out/, 6000)
  await users.close()
  await users.close()
  await assertUnreachable(t, users.list(), /closed/, 100)
})

test.serial('a member that does not answer does not keep a binding alive on the others', async (t) => {
  const server = await common('replicaSet')
  const gone = await bind(server)
  const client = await server.client(gone)
  await client.db('app').collection('books').insertOne({})
  const relay = await Relay.start()
  const admin = server.admin({ deadline: Date.now() + 20_000 })
  const before = Date.now()
  await using({ ...admin, members: [`127.0.0.1:${relay.port}`, '127.0.0.1:1', ...admin.members] }, (users) =>
    users.drop(gone.name),
  )
  t.true(Date.now() - before < 6000)
  t.regex(await refusal(client.db('app').collection('books').insertOne({})), loggedOut)
  await untilClosed(t, relay)
})

test.serial('neither an error nor a log of the server holds a password', async (t) => {
  const server = await servers.start('standalone', testCommands)
  await failNext(server, 20, { failCommands: ['createUser'], errorCode: 13 })
  await using(server.admin(), async (users) => {
    const error = await t.throwsAsync(users.create(conspicuous))
    const text = inspect(error, { depth: 12, showHidden: true })
    t.false(text.includes(conspicuous.password))
    t.false(text.includes('Of the administrator'))
  })
  await byHand(server, { configureFailPoint: 'failCommand', mode: 'off' })
  await using(server.admin(), (users) => users.create(conspicuous))
  for (const [name, content] of await server.files()) {
    t.false(content.includes(conspicuous.password), name)
    t.false(content.includes('Of the administrator'), name)
  }
})
