/**
 * Fills V8's compile cache while the image is built: runs each function until it has answered a request, as its first
 * caller will have it, then reads what is imported lazily (drivers, telemetry, YAML).
 *
 * Usage: `node image/fill-cache.ts /app`, as the user and with the paths of the image.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { dashboardRoutes, edgeRouter, routes } from '../shared/routes.ts'

const port = 18_080
const [, , folder = '/app'] = process.argv
const directory = await mkdtemp(join(tmpdir(), 'fill-cache-'))
const usersFile = join(directory, 'users.json')
await writeFile(usersFile, JSON.stringify([{ username: 'u', password: 'p' }]))
for (const [name, content] of Object.entries({ token: 'none', 'ca.crt': '', namespace: 'broker' })) {
  await writeFile(join(directory, name), content)
}

const environment = {
  NODE_COMPILE_CACHE: join(folder, 'compile-cache'),
  PORT: String(port),
  BROKER_NAMESPACE: 'broker',
  DATABASE_NAMESPACE: 'databases',
  USERS_FILE: usersFile,
  KEYS_DIRECTORY: directory,
  SERVICE_ACCOUNT_DIRECTORY: directory,
  // Nobody listens there: a function goes as far as its first call.
  KUBERNETES_SERVICE_HOST: '127.0.0.1',
  KUBERNETES_SERVICE_PORT: '1',
  REQUEST_BUDGET: '2',
}

async function ask(method: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      Authorization: `Basic ${Buffer.from('u:p').toString('base64')}`,
      'X-Broker-API-Version': '2.17',
      'Content-Type': 'application/json',
    }
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      text(response).then(() => resolve(response.statusCode ?? 0), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(method === 'PUT' || method === 'PATCH' ? '{"service_id":"a","plan_id":"b"}' : undefined)
  })
}

async function run(name: string, method: string, path: string): Promise<void> {
  const child = spawn(process.execPath, [name], { cwd: folder, env: environment, stdio: 'inherit' })
  const ended = once(child, 'exit')
  for (const end = Date.now() + 120_000; ; await delay(20)) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${name} does not start`)
    if ((await ask('GET', '/health/liveness').catch(() => 0)) === 200) break
  }
  await ask(method, path)
  child.kill('SIGTERM')
  const [code] = await ended
  if (code !== 0) throw new Error(`${name} ended with ${code}`)
}

for (const { function: name, method, path } of routes) {
  await run(name, method, `${path.replaceAll(/:\w+/g, 'id')}?service_id=a&plan_id=b&accepts_incomplete=true`)
}
await run(edgeRouter, 'GET', '/v2/unknown')
const [{ function: dashboard }] = dashboardRoutes
await run(dashboard, 'GET', '/dashboard/instances/id')

const files = await Promise.all(
  ['chunks', `${dashboard}/chunks`].map(async (chunks) =>
    (await readdir(join(folder, chunks))).map((name) => join(folder, chunks, name)),
  ),
)
const chunks = files.flat().filter((name) => name.endsWith('.js'))
const lines = chunks.map((name) => `await import(${JSON.stringify(name)})`)
const reader = spawn(
  process.execPath,
  ['--input-type=module', '--eval', `${lines.join('\n')}\nprocess.exit(0)`],
  {
    env: environment,
    stdio: 'inherit',
  },
)
const [code] = await once(reader, 'exit')
if (code !== 0) throw new Error(`the chunks could not be read: ${code}`)
await rm(directory, { recursive: true })
console.log(`${routes.length + 2} programs and ${chunks.length} chunks are in the compile cache`)
