import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import test from 'ava'
import { MongoServerError } from 'mongodb'
import { isOfSocket } from '../../shared/kubedb/databases/users/mongodb/failure.ts'

test('what Node says of a socket that the server has ended is of the socket', async (t) => {
  const server = createServer((socket) => socket.end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const socket = connect(address.port, '127.0.0.1').resume()
  await once(socket, 'close')
  const error = await new Promise<unknown>((resolve) => socket.write('x', resolve))
  t.like(error, { code: 'EPIPE' })
  t.true(isOfSocket(error))
})

test('what the server refuses, and mistakes of our own, are not', (t) => {
  t.false(isOfSocket(new MongoServerError({ message: 'no', code: 13 })))
  t.false(isOfSocket(Object.assign(new TypeError('no'), { code: 'ERR_INVALID_ARG_TYPE' })))
  t.false(isOfSocket(new Error('no')))
  t.false(isOfSocket('EPIPE'))
})
