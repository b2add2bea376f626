/** Connections of engines are cut into statements and answers, however their bytes arrive. */
import test from 'ava'
import { BSON } from 'mongodb'
import { httpProtocol } from '../support/wire/http.ts'
import { mongodbProtocol } from '../support/wire/mongodb.ts'
import { mysqlProtocol } from '../support/wire/mysql.ts'
import { postgresProtocol } from '../support/wire/postgres.ts'
import type { Message, Sink } from '../support/wire/wire.ts'

const message = (type: string, content: string): Buffer => {
  const text = Buffer.from(content)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(4 + text.length)
  return Buffer.concat([Buffer.from(type), length, text])
}

const startUp = Buffer.concat([Buffer.from([0, 0, 0, 14, 0, 3, 0, 0]), Buffer.from('user\0\0')])

test('PostgreSQL: a client is understood however its bytes are cut', (t) => {
  const sent = Buffer.concat([
    startUp,
    message('p', 'password\0'),
    message('Q', 'SELECT 1\0'),
    message('P', 'name\0SELECT $1\0\0\0'),
    message('B', '\0name\0'),
    message('S', ''),
  ])
  for (const size of [1, 3, 7, sent.length]) {
    const messages: Message[] = []
    const take = postgresProtocol.fromClient((one) => messages.push(one))
    for (let at = 0; at < sent.length; at += size) take(sent.subarray(at, at + size))
    t.is(messages.length, 6)
    t.deepEqual(
      messages.flatMap(({ statement }) => (statement === undefined ? [] : [statement])),
      ['SELECT 1', 'SELECT $1'],
    )
    t.deepEqual(Buffer.concat(messages.map(({ bytes }) => bytes)), sent)
  }
})

test("PostgreSQL: a server's answer ends with ReadyForQuery", (t) => {
  const ready: boolean[] = []
  const take = postgresProtocol.fromServer((one) => ready.push(one.ready === true))
  take(Buffer.concat([message('T', 'row'), message('D', 'Z'), message('C', 'SELECT 1\0'), message('Z', 'I')]))
  t.deepEqual(ready, [false, false, false, true])
})

/** The messages that come of bytes in pieces of each size; all sizes must give the same. */
function cutInto(
  reader: (sink: Sink) => (data: Buffer) => void,
  bytes: Buffer,
): Pick<Message, 'statement' | 'ready'>[] {
  const [whole = [], ...others] = [bytes.length, 1, 5].map((size) => {
    const messages: Message[] = []
    const take = reader((one) => messages.push(one))
    for (let at = 0; at < bytes.length; at += size) take(bytes.subarray(at, at + size))
    return messages
  })
  for (const messages of others) {
    if (messages.some((one, index) => !one.bytes.equals(whole[index]?.bytes ?? Buffer.of())))
      throw new Error('it depends on how the bytes arrive')
  }
  if (!Buffer.concat(whole.map((one) => one.bytes)).equals(bytes)) throw new Error('bytes are lost')
  return whole.map(({ bytes: _, ...rest }) => rest)
}

const packet = (number: number, ...content: (number | string)[]): Buffer => {
  const body = Buffer.concat(
    content.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))),
  )
  const head = Buffer.alloc(4)
  head.writeUIntLE(body.length, 0, 3)
  head[3] = number
  return Buffer.concat([head, body])
}

test('MySQL: statements are those of commands, not of a log-in', (t) => {
  const sent = Buffer.concat([
    packet(1, 3, 'root'),
    packet(3, 3, 'x'),
    packet(0, 3, 'SELECT 1'),
    packet(0, 3, 0, 1, 'SELECT 2'),
    packet(0, 1),
  ])
  const found = cutInto(mysqlProtocol.fromClient, sent).map(({ statement }) => statement)
  t.deepEqual(found, [undefined, undefined, 'SELECT 1', 'SELECT 2', undefined])
})

test('MySQL: an answer ends with OK, an error, or the last row', (t) => {
  const ok = (number: number) => packet(number, 0, 0, 0, 2, 0, 0, 0)
  const end = (number: number) => packet(number, 0xfe, 0, 0, 2, 0)
  const sent = Buffer.concat([
    ...[packet(0, 10, '11.8'), packet(2, 0xfe, 'mysql_native_password'), ok(4)],
    ok(1),
    packet(1, 0xff, 'no'),
    ...[packet(1, 1), packet(2, 'column'), end(3), packet(4, 0, 'row'), packet(5, 'row'), end(6)],
    ok(1),
  ])
  const ready = cutInto(mysqlProtocol.fromServer, sent).map((one) => one.ready)
  const [login, rows] = [
    [true, true, true],
    [false, false, false, false, false, true],
  ]
  t.deepEqual(ready, [...login, true, true, ...rows, true])
  t.true(mysqlProtocol.reads('SHOW GRANTS FOR x'))
  t.false(mysqlProtocol.reads("CREATE USER 'x'"))
})

test('MongoDB: a statement is a command and its name, without what else is in it; log-ins are none', (t) => {
  const command = (document: BSON.Document): Buffer => {
    const body = BSON.serialize(document)
    const head = Buffer.alloc(21)
    head.writeInt32LE(head.length + body.length, 0)
    head.writeInt32LE(2013, 12)
    return Buffer.concat([head, body])
  }
  const sent = Buffer.concat([
    command({ hello: 1 }),
    command({ saslStart: 1, payload: 'x' }),
    command({ createUser: 'b', pwd: 'secret' }),
    command({ usersInfo: { user: 'b', db: 'admin' } }),
  ])
  const found = cutInto(mongodbProtocol.fromClient, sent).map(({ statement }) => statement)
  t.deepEqual(found, [undefined, undefined, 'createUser b', 'usersInfo b'])
  t.deepEqual(
    cutInto(mongodbProtocol.fromServer, sent).map(({ ready }) => ready),
    [true, true, true, true],
  )
})

test('HTTP: bodies of a known length and in chunks', (t) => {
  const requests = [
    'PUT /a HTTP/1.1\r\ncontent-length: 4\r\n\r\n\r\n\r\n',
    'GET /b HTTP/1.1\r\nhost: x\r\n\r\n',
  ]
  t.deepEqual(
    cutInto(httpProtocol(9200).fromClient, Buffer.from(requests.join(''))).map(({ statement }) => statement),
    ['PUT /a', 'GET /b'],
  )
  const answers = [
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0\r\n\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n',
  ]
  const ready = cutInto(httpProtocol(9200).fromServer, Buffer.from(answers.join(''))).map((one) => one.ready)
  t.deepEqual(ready, [true, true, true])
})
