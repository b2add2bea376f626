import { once } from 'node:events'
import { createServer } from 'node:net'
import test from 'ava'
import { freePort } from '../../sandbox/machine/free-port.ts'

test.serial(
  'no port is given twice in a row, and none that the system might give to somebody else',
  async (t) => {
    const ports = [await freePort(), await freePort(), await freePort()]
    t.is(new Set(ports).size, 3)
    for (const port of ports) t.true(port >= 20_000 && port < 25_000, String(port))
  },
)

test.serial('what is in use is passed over, on any address; when all is in use, that is said', async (t) => {
  const hosts = ['127.0.0.1', '0.0.0.0', '::']
  const taken: number[] = []
  for (let i = 0; i < 50; i++) {
    const port = await freePort()
    t.false(taken.includes(port))
    const server = createServer().listen(port, hosts[i % hosts.length])
    await once(server, 'listening')
    t.teardown(() => server.close())
    taken.push(port)
  }
  const [first = 0] = taken.toSorted((one, other) => one - other)
  await t.throwsAsync(freePort(), { message: `No port from ${first} to ${first + 49} is free` })
})
