/** What a function loads before its first answer is what its callers wait for. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { routes } from '../../shared/routes.ts'
import { openBroker } from '../support/broker.ts'
import { useCluster } from '../support/cluster.ts'

const cluster = useCluster(test)

/** Tells at the end which of Node's own modules were loaded. */
const tell = `process.on('exit', () => {
  require('node:fs').writeSync(1, JSON.stringify({ loaded: process.moduleLoadList }) + '\\n')
})`

test("no function loads Node's fetch or HTTP/2", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'start-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const preload = join(directory, 'tell.cjs')
  await writeFile(preload, tell)
  const broker = await openBroker(t, { cluster, environment: { NODE_OPTIONS: `--require=${preload}` } })
  const ids = 'service_id=a&plan_id=b'
  for (const { function: name, method, path } of routes) {
    const target = path.replaceAll(/:\w+/g, 'unknown')
    const body = method === 'PUT' || method === 'PATCH' ? { service_id: 'a', plan_id: 'b' } : undefined
    const { status } = await broker.request(method, target, body, { query: ids })
    t.true(status < 500, `${name}: ${status}`)
    await broker.gateway.scaleToZero(name)
    const line = broker.lines.find((one) => one.startsWith(`${name}: {"loaded":`)) ?? ''
    t.true(line.includes('NativeModule http'), `${name}: ${broker.lines.join('\n')}`)
    t.deepEqual(line.match(/NativeModule [^"]*(undici|http2)[^"]*/g), null, name)
  }
})
