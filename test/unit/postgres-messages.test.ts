import test from 'ava'
import { backendMessages, frontendMessages, type Message } from '../support/postgres-messages.ts'

const message = (type: string, content: string): Buffer => {
  const text = Buffer.from(content)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(4 + text.length)
  return Buffer.concat([Buffer.from(type), length, text])
}

const startUp = Buffer.concat([Buffer.from([0, 0, 0, 14, 0, 3, 0, 0]), Buffer.from('user\0\0')])

test('a client is understood however its bytes are cut', (t) => {
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
    const take = frontendMessages((one) => messages.push(one))
    for (let at = 0; at < sent.length; at += size) take(sent.subarray(at, at + size))
    t.is(messages.length, 6)
    t.deepEqual(
      messages.flatMap(({ statement }) => (statement === undefined ? [] : [statement])),
      ['SELECT 1', 'SELECT $1'],
    )
    t.deepEqual(Buffer.concat(messages.map(({ bytes }) => bytes)), sent)
  }
})

test("a server's answer ends with ReadyForQuery", (t) => {
  const ready: boolean[] = []
  const take = backendMessages((one) => ready.push(one.ready === true))
  take(Buffer.concat([message('T', 'row'), message('D', 'Z'), message('C', 'SELECT 1\0'), message('Z', 'I')]))
  t.deepEqual(ready, [false, false, false, true])
})
