/** The sandbox's stand-in for MongoDB, as MongoDB's own driver meets it. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { Double, Long, MongoClient, ObjectId } from 'mongodb'
import { readConfiguration } from '../../sandbox/engines/mongodb/parts/configuration.ts'
import { type Login, type MongoServer, MongoServers, outcome, refusal } from './mongodb-server.ts'

const servers = new MongoServers()
test.after.always(() => servers.stop())

let shared: Promise<MongoServer> | undefined
const common = () => {
  shared ??= servers.start('standalone', { config: 'setParameter: {enableTestCommands: true}' })
  return shared
}

const unauthorized = 13

async function withUser(server: MongoServer, name: string, roles: object[], db = 'admin'): Promise<Login> {
  const root = await server.client()
  await root.db(db).command({ createUser: name, pwd: `of ${name}`, roles })
  return { name, password: `of ${name}`, source: db }
}

test.serial('documents are written, found, changed and removed, and keep their types', async (t) => {
  const client = await (await common()).client()
  const books = client.db('library').collection('books')
  const id = new ObjectId()
  await books.insertMany([
    {
      _id: id,
      title: 'one',
      pages: 10,
      tags: ['a', 'b'],
      price: new Double(3),
      sold: Long.fromNumber(2 ** 40),
    },
    { title: 'two', pages: 20, tags: [], author: { name: 'x' }, read: new Date(5) },
    { title: 'three', pages: 30, lent: null },
  ])
  const titles = async (filter: object) =>
    (await books.find(filter).sort({ pages: 1 }).toArray()).map(({ title }) => title)
  t.deepEqual(await titles({ pages: { $gt: 10, $lte: 30 } }), ['two', 'three'])
  t.deepEqual(await titles({ tags: 'a' }), ['one'])
  t.deepEqual(await titles({ $or: [{ 'author.name': 'x' }, { _id: id }] }), ['one', 'two'])
  t.deepEqual(await titles({ title: { $in: ['one', 'three'] }, pages: { $ne: 10 } }), ['three'])
  t.deepEqual(await titles({ lent: { $exists: true } }), ['three'])
  t.deepEqual(await titles({ lent: null }), ['one', 'two', 'three'])
  t.deepEqual(await titles({ title: /^t/ }), ['two', 'three'])
  t.deepEqual(
    await books.findOne({ _id: id }, { promoteValues: false, projection: { price: 1, sold: 1, _id: 0 } }),
    {
      price: new Double(3),
      sold: Long.fromNumber(2 ** 40),
    },
  )
  t.like(
    await books.updateMany({ pages: { $gte: 20 } }, { $inc: { pages: 5 }, $set: { 'author.name': 'y' } }),
    {
      matchedCount: 2,
      modifiedCount: 2,
    },
  )
  t.deepEqual(await titles({ 'author.name': 'y', pages: 25 }), ['two'])
  t.like(await books.updateOne({ title: 'four' }, { $set: { pages: 1 } }, { upsert: true }), {
    upsertedCount: 1,
  })
  t.is(await books.countDocuments({ title: 'four' }), 1)
  t.like(await books.replaceOne({ title: 'four' }, { title: 'five' }), { modifiedCount: 1 })
  t.is(
    (await books.findOneAndUpdate({ title: 'five' }, { $set: { n: 1 } }, { returnDocument: 'after' }))?.n,
    1,
  )
  t.is((await books.findOneAndDelete({ title: 'five' }))?.title, 'five')
  t.like(await books.deleteMany({ pages: { $lt: 30 } }), { deletedCount: 2 })
  t.deepEqual(await titles({}), ['three'])
  t.is(await outcome(books.updateOne({ title: 'three' }, { $set: { _id: 1 } })), 66)
  t.is(await outcome(books.find({ x: { $nonsense: 1 } }).toArray()), 2)
})

test.serial('more than a batch comes by a cursor, and aggregations add up', async (t) => {
  const client = await (await common()).client()
  const numbers = client.db('library').collection('numbers')
  await numbers.insertMany(Array.from({ length: 250 }, (_, n) => ({ n, even: n % 2 === 0 })))
  t.is((await numbers.find({}).batchSize(7).toArray()).length, 250)
  t.deepEqual(
    await numbers
      .aggregate([
        { $match: { n: { $lt: 10 } } },
        { $group: { _id: '$even', sum: { $sum: '$n' }, count: { $sum: 1 } } },
        { $sort: { _id: 1 } },
      ])
      .toArray(),
    [
      { _id: false, sum: 25, count: 5 },
      { _id: true, sum: 20, count: 5 },
    ],
  )
  t.is(await numbers.countDocuments({ even: true }), 125)
  t.is(await outcome(numbers.aggregate([{ $nonsense: 1 }]).toArray()), 40324)
})

test.serial('an index that is unique keeps doubles out', async (t) => {
  const client = await (await common()).client()
  const people = client.db('library').collection<{ _id?: number; mail?: string }>('people')
  await people.createIndex({ mail: 1 }, { unique: true })
  await people.insertOne({ _id: 1, mail: 'a@b' })
  t.is(await outcome(people.insertOne({ mail: 'a@b' })), 11000)
  t.is(await outcome(people.insertOne({ _id: 1, mail: 'other' })), 11000)
  await people.insertOne({ _id: 2, mail: 'c@d' })
  t.is(await outcome(people.updateOne({ _id: 2 }, { $set: { mail: 'a@b' } })), 11000)
  await people.deleteOne({ _id: 1 })
  await people.updateOne({ _id: 2 }, { $set: { mail: 'a@b' } })
  t.deepEqual(
    (await people.indexes()).map(({ name }) => name),
    ['_id_', 'mail_1'],
  )
  await people.dropIndex('mail_1')
  await people.insertOne({ mail: 'a@b' })
})

test.serial('what it does not know it refuses', async (t) => {
  const admin = (await (await common()).client()).db('admin')
  t.is(await outcome(admin.command({ nonsense: 1 })), 59)
  t.is(await refusal(admin.command({ nonsense: 1 })), "no such command: 'nonsense'")
  t.is(await outcome(admin.command({ serverStatus: 1 })), 238)
  t.is(await outcome(admin.command({ dropUser: 'x', nonsense: 1 })), 40415)
  t.is(await outcome(admin.command({ createUser: 'x', pwd: 'y' })), 40414)
  t.is(await outcome(admin.command({ find: 'x', limit: 'y' })), 14)
})

test.serial('a log-in needs the right password, database and mechanism', async (t) => {
  const server = await common()
  const user = await withUser(server, 'ü,=§', [{ role: 'read', db: 'library' }], 'library')
  t.is(await outcome(server.client(user)), 'ok')
  t.is(await outcome(server.client({ ...user, password: 'of ü' })), 18)
  t.is(await outcome(server.client({ ...user, password: '' })), 18)
  t.is(await outcome(server.client({ ...user, source: 'admin' })), 18)
  t.is(await outcome(server.client({ ...user, name: 'nobody' })), 18)
  t.is(await outcome(server.client(user, { authMechanism: 'SCRAM-SHA-1' })), 18)
  t.is(await outcome(server.client(user, { authMechanism: 'PLAIN' })), 334)
  t.is(await outcome(server.client(user, { authMechanism: 'SCRAM-SHA-256' })), 'ok')
})

test.serial('nobody who is not logged in may do anything', async (t) => {
  const { instance } = await common()
  const client = await new MongoClient(`mongodb://${instance.address}/?directConnection=true`).connect()
  t.is(await outcome(client.db('library').command({ ping: 1 })), 'ok')
  t.is(
    await refusal(client.db('library').collection('books').findOne()),
    'Command find requires authentication',
  )
  t.is(await outcome(client.db('admin').command({ createUser: 'x', pwd: 'y', roles: [] })), unauthorized)
  t.is(await outcome(client.db('admin').command({ listDatabases: 1 })), unauthorized)
  await client.close()
})

test.serial('each role may do what it is for, and nothing beyond', async (t) => {
  const server = await common()
  const root = await server.client()
  await root.db('shop').collection('orders').insertOne({ n: 1 })
  await root.db('other').collection('secrets').insertOne({ n: 1 })
  const in_ = (role: string, db = 'shop') => [{ role, db }]
  const roles: { [title: string]: object[] } = {
    read: in_('read'),
    readWrite: in_('readWrite'),
    dbAdmin: in_('dbAdmin'),
    dbOwner: in_('dbOwner'),
    userAdmin: in_('userAdmin'),
    readAnyDatabase: in_('readAnyDatabase', 'admin'),
    clusterMonitor: in_('clusterMonitor', 'admin'),
    clusterAdmin: in_('clusterAdmin', 'admin'),
    root: in_('root', 'admin'),
  }
  const all =
    'read readWrite dbAdmin dbOwner userAdmin readAnyDatabase clusterMonitor clusterAdmin root'.split(' ')
  t.deepEqual(Object.keys(roles), all)
  const attempts: [what: string, db: string, command: object, who: string][] = [
    ['find', 'shop', { find: 'orders' }, 'read readWrite dbOwner readAnyDatabase root'],
    ['find elsewhere', 'other', { find: 'secrets' }, 'readAnyDatabase root'],
    [
      'aggregate',
      'shop',
      { aggregate: 'orders', pipeline: [], cursor: {} },
      'read readWrite dbOwner readAnyDatabase root',
    ],
    ['insert', 'shop', { insert: 'orders', documents: [{}] }, 'readWrite dbOwner root'],
    ['insert elsewhere', 'other', { insert: 'secrets', documents: [{}] }, 'root'],
    [
      'update',
      'shop',
      { update: 'orders', updates: [{ q: { n: 9 }, u: { $set: { n: 9 } } }] },
      'readWrite dbOwner root',
    ],
    ['delete', 'shop', { delete: 'orders', deletes: [{ q: { n: 9 }, limit: 0 }] }, 'readWrite dbOwner root'],
    ['create', 'shop', { create: 'more' }, 'readWrite dbAdmin dbOwner root'],
    ['drop', 'shop', { drop: 'nothing' }, 'readWrite dbAdmin dbOwner root'],
    [
      'index',
      'shop',
      { createIndexes: 'orders', indexes: [{ key: { n: 1 }, name: 'n' }] },
      'readWrite dbAdmin dbOwner root',
    ],
    ['drop database', 'empty', { dropDatabase: 1 }, 'clusterAdmin root'],
    ['collections', 'shop', { listCollections: 1 }, 'read readWrite dbAdmin dbOwner readAnyDatabase root'],
    ['create user', 'shop', { usersInfo: 1 }, 'dbOwner userAdmin root'],
    ['all users', 'admin', { usersInfo: { forAllDBs: true } }, 'root'],
    ['find users', 'admin', { find: 'system.users' }, 'root'],
    ['make users by hand', 'admin', { insert: 'system.users', documents: [{}] }, ''],
    ['parameters', 'admin', { getParameter: 1, enableTestCommands: 1 }, 'clusterMonitor clusterAdmin root'],
    ['kill sessions', 'admin', { killAllSessions: [] }, 'clusterAdmin root'],
    ['operations', 'admin', { currentOp: 1 }, 'clusterMonitor clusterAdmin root'],
    ['kill', 'admin', { killOp: 1, op: 0 }, 'clusterAdmin root'],
    ['caches', 'admin', { invalidateUserCache: 1 }, 'clusterAdmin root'],
    [
      'databases',
      'admin',
      { listDatabases: 1, authorizedDatabases: false },
      'readAnyDatabase clusterMonitor clusterAdmin root',
    ],
  ]
  for (const role of all) {
    const client = await server.client(await withUser(server, `of-${role}`, roles[role] ?? []))
    for (const [what, db, command, who] of attempts) {
      const expected = who.split(' ').includes(role) ? 'ok' : unauthorized
      t.is(await outcome(client.db(db).command(command)), expected, `${role}: ${what}`)
    }
  }
  const reader = await server.client({ name: 'of-read', password: 'of of-read' })
  t.deepEqual(
    (await reader.db().admin().listDatabases()).databases.map(({ name }) => name),
    ['shop'],
  )
  t.regex(
    await refusal(reader.db('shop').collection('orders').insertOne({})),
    /^not authorized on shop to execute command \{ insert: "orders"/,
  )
})

test.serial('users are made, changed and dropped, and what is wrong is refused', async (t) => {
  const server = await common()
  const admin = (await server.client()).db('admin')
  const make = (more: object) => admin.command({ createUser: 'somebody', pwd: 'x', roles: [], ...more })
  t.is(await outcome(make({ roles: ['nonsense'] })), 31)
  t.is(await refusal(make({ roles: ['nonsense'] })), 'Could not find role: nonsense@admin')
  t.is(await outcome(make({ roles: [{ role: 'root', db: 'shop' }] })), 31)
  t.is(await outcome(make({ pwd: '' })), 2)
  t.is(await outcome(make({ digestPassword: false })), 2)
  t.is(await outcome(make({ mechanisms: [] })), 2)
  t.is(
    await outcome((await server.client()).db('local').command({ createUser: 'x', pwd: 'x', roles: [] })),
    2,
  )
  await make({ roles: [{ role: 'read', db: 'shop' }] })
  t.is(await outcome(make({})), 51003)
  t.is(await refusal(make({})), 'User "somebody@admin" already exists')
  const somebody = await server.client({ name: 'somebody', password: 'x' })
  const orders = somebody.db('shop').collection('orders')
  t.is(await outcome(orders.insertOne({})), unauthorized)
  await admin.command({ grantRolesToUser: 'somebody', roles: [{ role: 'readWrite', db: 'shop' }] })
  t.is(await outcome(orders.insertOne({})), 'ok')
  await admin.command({ revokeRolesFromUser: 'somebody', roles: [{ role: 'readWrite', db: 'shop' }] })
  t.is(await outcome(orders.insertOne({})), unauthorized)
  await admin.command({ updateUser: 'somebody', pwd: 'y', roles: [{ role: 'readWrite', db: 'other' }] })
  t.is(await outcome(orders.findOne()), unauthorized)
  t.is(await outcome(server.client({ name: 'somebody', password: 'x' })), 18)
  t.deepEqual((await somebody.db('admin').command({ connectionStatus: 1 })).authInfo, {
    authenticatedUsers: [{ user: 'somebody', db: 'admin' }],
    authenticatedUserRoles: [{ role: 'readWrite', db: 'other' }],
  })
  const { users } = await admin.command({ usersInfo: 'somebody', showCredentials: true })
  t.deepEqual(Object.keys(users[0].credentials['SCRAM-SHA-256']), [
    'iterationCount',
    'salt',
    'storedKey',
    'serverKey',
  ])
  await admin.command({ dropUser: 'somebody' })
  t.is(await outcome(admin.command({ dropUser: 'somebody' })), 11)
  t.is(await refusal(admin.command({ dropUser: 'somebody' })), "User 'somebody@admin' not found")
  // made anew under the same name, it is somebody else
  t.is(await refusal(orders.findOne()), 'Command find requires authentication')
  await make({ roles: [{ role: 'root', db: 'admin' }] })
  t.is(await refusal(orders.findOne()), 'Command find requires authentication')
})

test.serial('sessions of a user can be ended, with what waits in them', async (t) => {
  const server = await common()
  const root = await server.client()
  const user = await withUser(server, 'waiting', [{ role: 'readWrite', db: 'shop' }])
  const client = await server.client(user)
  await client.db('shop').createCollection('queue', { capped: true, size: 4096 })
  await client.db('shop').collection('queue').insertOne({ n: 1 })
  const cursor = client
    .db('shop')
    .collection('queue')
    .find({}, { tailable: true, awaitData: true, maxAwaitTimeMS: 20_000 })
  t.is((await cursor.next())?.n, 1)
  const waiting = outcome(cursor.next())
  await sleep(50)
  const { inprog } = await root.db('admin').command({ currentOp: 1, op: 'getmore' })
  t.deepEqual(
    inprog.map((one: { effectiveUsers: unknown }) => one.effectiveUsers),
    [[{ user: 'waiting', db: 'admin' }]],
  )
  await root.db('admin').command({ killAllSessions: [{ user: 'waiting', db: 'admin' }] })
  t.is(await waiting, 11601)
  const again = client.db('shop').collection('queue').find({}, { tailable: true, awaitData: true })
  t.is((await again.next())?.n, 1)
  const more = again.next()
  await client.db('shop').collection('queue').insertOne({ n: 2 })
  t.is((await more)?.n, 2)
  await again.close()
})

test.serial('data and users survive a restart, a kill, and go with their volume', async (t) => {
  let server = await servers.start('standalone')
  const user = await withUser(server, 'lasting', [{ role: 'readWrite', db: 'shop' }])
  const before = (await server.client(user)).db('shop').collection<{ _id: number }>('orders')
  await before.insertMany([{ _id: 1 }, { _id: 2 }])
  await before.deleteOne({ _id: 1 })
  await before.createIndex({ n: 1 }, { unique: true, sparse: true })
  await server.kill()
  server = await server.restart({ password: 'another' })
  const after = (await server.client(user)).db('shop').collection<{ _id: number }>('orders')
  t.deepEqual(await after.find().toArray(), [{ _id: 2 }])
  t.deepEqual(
    (await after.indexes()).map(({ name }) => name),
    ['_id_', 'n_1'],
  )
  t.is(await outcome(server.client()), 'ok')
  await server.running.setPassword('a third')
  t.is(await outcome(server.client()), 18)
  await server.running.check()
  server = await server.restart({ volume: 'second' })
  t.is(await outcome(server.client(user)), 18)
  t.deepEqual(
    (await (await server.client()).db().admin().listDatabases()).databases.map(({ name }) => name),
    ['admin'],
  )
})

test.serial('a replica set has one primary, and the others do not take writes', async (t) => {
  const server = await servers.start('replicaSet')
  const client = await server.client()
  const hello = await client.db('admin').command({ hello: 1 })
  t.like(hello, { setName: 'rs0', isWritablePrimary: true, secondary: false })
  t.is(hello.hosts.length, 3)
  await client.db('shop').collection('orders').insertOne({ n: 1 })
  const second = await server.client(undefined, {}, 1)
  t.like(await second.db('admin').command({ hello: 1 }), {
    isWritablePrimary: false,
    secondary: true,
    me: hello.hosts[1],
  })
  t.is(await outcome(second.db('shop').command({ insert: 'orders', documents: [{}] })), 10107)
  const reading = await server.client(undefined, { readPreference: 'secondary' })
  t.is((await reading.db('shop').collection('orders').findOne())?.n, 1)
  t.is(
    await outcome(
      client
        .db('shop')
        .collection('orders')
        .insertOne({}, { writeConcern: { w: 'majority' } }),
    ),
    'ok',
  )
  await t.throwsAsync(
    client
      .db('shop')
      .collection('orders')
      .insertOne({}, { writeConcern: { w: 4 } }),
    {
      message: /Not enough data-bearing nodes/,
    },
  )
})

test.serial(
  'without addresses of their own the members of a replica set are found under any name',
  async (t) => {
    const server = await servers.start('replicaSet')
    const { address } = server.instance
    const { members: _, ...alone } = server.instance
    await server.running.stop()
    const again = await server.restart({ ...alone, members: [address] })
    const hello = await (await again.client(undefined, {}, 0)).db('admin').command({ hello: 1 })
    t.is(hello.hosts.length, 1)
  },
)

test.serial('a mongos says so, and knows of users what it learnt up to 30 s ago', async (t) => {
  const server = await servers.start('sharded')
  const [one, other] = [await server.client(undefined, {}, 0), await server.client(undefined, {}, 1)]
  t.is((await one.db('admin').command({ hello: 1 })).msg, 'isdbgrid')
  const user = await withUser(server, 'lingering', [{ role: 'readWrite', db: 'shop' }])
  const lingering = await server.client(user, {}, 1)
  const orders = lingering.db('shop').collection('orders')
  await orders.insertOne({ n: 1 })
  await one.db('admin').command({ dropUser: 'lingering' })
  t.is(await outcome(orders.insertOne({ n: 2 })), 'ok')
  await other.db('admin').command({ invalidateUserCache: 1 })
  t.is(await outcome(orders.insertOne({ n: 3 })), unauthorized)
})

test.serial('a write that a client sends again is carried out once', async (t) => {
  const server = await servers.start('replicaSet')
  const client = await server.client()
  const shop = client.db('shop')
  const session = client.startSession()
  const send = (txnNumber: number) =>
    shop.command(
      { insert: 'orders', documents: [{ n: txnNumber }], txnNumber: Long.fromNumber(txnNumber) },
      { session },
    )
  t.is((await send(1)).n, 1)
  t.is((await send(1)).n, 1)
  t.is(await shop.collection('orders').countDocuments({ n: 1 }), 1)
  t.is((await send(2)).n, 1)
  t.is(await outcome(send(1)), 225)
  await session.endSession()
})

test.serial('settings that the real server refuses are told in its words', async (t) => {
  t.throws(() => readConfiguration('storage: {nonsense: 1}'), {
    message: /^Unrecognized option: storage\.nonsense\n/,
  })
  t.throws(() => readConfiguration('net: {maxIncomingConnections: many}'), {
    message: /"net\.maxIncomingConnections" as number/,
  })
  t.throws(() => readConfiguration('setParameter: {nonsense: 1}'), {
    message: /Unknown --setParameter 'nonsense'/,
  })
  t.throws(() => readConfiguration('operationProfiling: {mode: some}'), { message: /Bad value/ })
  t.throws(() => readConfiguration('a: [}'), { message: /Error parsing YAML config file/ })
  await t.throwsAsync(servers.start('standalone', { config: 'toString: 1' }), {
    message: /Unrecognized option: toString/,
  })
  const { running } = await common()
  t.is(await running.reload('setParameter:\n  enableTestCommands: true\n'), 'applied')
  t.is(await running.reload('operationProfiling:\n  slowOpThresholdMs: 50\n'), 'restart')
  await t.throwsAsync(running.reload('nonsense: 1'), { message: /Unrecognized option: nonsense/ })
})

test.serial('bytes that are no message end the connection, and nothing else', async (t) => {
  const server = await common()
  for (const bytes of [
    Buffer.alloc(16),
    Buffer.alloc(64, 0xff),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from('16030100', 'hex'),
  ]) {
    const socket = connect({ host: server.instance.address, port: 27017 })
    socket.on('error', () => undefined)
    socket.write(bytes)
    await new Promise((resolve) => socket.once('close', resolve))
  }
  await server.running.check()
  t.pass()
})
