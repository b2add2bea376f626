/**
 * The image, every function in a container of its own, against the real API server. IMAGE_ARCHIVE names it
 * (`image/build-offline.sh` writes one); without it, or without root and runc, everything here is skipped.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { nameOf } from '../../generate/roles.ts'
import { mintToken } from '../../sandbox/control-plane/request.ts'
import { dashboardRoutes, edgeRouter, type Route, routes } from '../../shared/routes.ts'
import { useCluster } from '../support/cluster.ts'
import { type Container, type Image, runContainer, unpack } from '../support/container.ts'

const cluster = useCluster(test)
const archive = process.env.IMAGE_ARCHIVE
const reason = missing()
const check = reason === undefined ? test.serial : test.skip
if (reason !== undefined) test(`the image is not tested here: ${reason}`, (t) => t.pass())

/** What an answer takes on its way to the API server and back: so a request is still running at SIGTERM. */
const apiDelay = 400

const dashboard = dashboardRoutes[0].function

let image: Image
let directory: string
let api: number
let port = 21_000

function missing(): string | undefined {
  if (archive === undefined) return 'IMAGE_ARCHIVE names none'
  if (process.getuid?.() !== 0) return 'it takes root'
  try {
    execFileSync('runc', ['--version'])
  } catch {
    return 'there is no runc'
  }
  return undefined
}

test.before('unpack the image', async () => {
  if (reason !== undefined || archive === undefined) return
  await cluster.ready()
  image = await unpack(archive)
  directory = await mkdtemp(join(tmpdir(), 'image-test-'))
  await chmod(directory, 0o755)
  for (const folder of ['users', 'keys', 'catalog', 'dashboard']) await mkdir(join(directory, folder))
  await writeFile(join(directory, 'users/users.json'), JSON.stringify([{ username: 'u', password: 'p' }]))
  await writeFile(join(directory, 'keys/key-1'), Buffer.alloc(32, 7).toString('base64'))
  for (const name of ['catalog.yaml', 'catalog.json'])
    await cp(join(import.meta.dirname, '../../knative/base', name), join(directory, 'catalog', name))
  const setup = {
    'settings.json': JSON.stringify({ issuer: 'https://login.example.com', rules: [] }),
    'client.json': JSON.stringify({ id: 'dashboard', secret: 's' }),
    'cookie-key': Buffer.alloc(32, 8).toString('base64'),
  }
  for (const [name, content] of Object.entries(setup))
    await writeFile(join(directory, 'dashboard', name), content)
  for (const route of routes) {
    const folder = join(directory, 'accounts', route.function)
    await mkdir(folder, { recursive: true })
    const token = await mintToken(cluster, cluster.namespaces.broker, nameOf(route), 3600)
    await writeFile(join(folder, 'token'), token)
    await writeFile(join(folder, 'ca.crt'), cluster.ca)
    await writeFile(join(folder, 'namespace'), cluster.namespaces.broker)
  }
  // The API server, some way off.
  const relay = createServer((near) => {
    const far = connect(Number(new URL(cluster.url).port), '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => socket.destroy())
    near.on('data', (chunk) => void setTimeout(() => void far.write(chunk), apiDelay / 4))
    far.pipe(near)
    near.once('close', () => far.destroy())
  }).listen(0, '127.0.0.1')
  relay.unref()
  await once(relay, 'listening')
  const address = relay.address()
  api = address !== null && typeof address === 'object' ? address.port : 0
})

test.after.always('remove it', async () => {
  await image?.remove()
  if (directory) await rm(directory, { recursive: true, force: true })
})

async function ask(at: number, method: string, path: string, body?: string) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = {
      Authorization: `Basic ${Buffer.from('u:p').toString('base64')}`,
      'X-Broker-API-Version': '2.17',
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    }
    const outgoing = request(
      { host: '127.0.0.1', port: at, method, path, headers, agent: false },
      (response) => {
        text(response).then(
          (received) => resolve({ status: response.statusCode ?? 0, text: received }),
          reject,
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function start(
  name: string,
  environment: Record<string, string> = {},
): Promise<{ container: Container; at: number }> {
  port += 1
  const at = port
  const container = await runContainer(image, {
    args: [name],
    environment: {
      PORT: String(at),
      BROKER_NAMESPACE: cluster.namespaces.broker,
      DATABASE_NAMESPACE: cluster.namespaces.databases,
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(api),
      ...environment,
    },
    mounts: {
      [join(directory, 'users')]: '/etc/broker/users',
      [join(directory, 'keys')]: '/etc/broker/keys',
      [join(directory, 'catalog')]: '/etc/broker/catalog',
      ...(name === dashboard && { [join(directory, 'dashboard')]: '/etc/broker/dashboard' }),
      ...(existsSync(join(directory, 'accounts', name)) && {
        [join(directory, 'accounts', name)]: '/var/run/secrets/kubernetes.io/serviceaccount',
      }),
    },
  })
  for (const end = Date.now() + 20_000; ; await delay(20)) {
    if ((await ask(at, 'GET', '/health/readiness').catch(() => undefined))?.status === 200) break
    if (container.child.exitCode !== null || Date.now() > end) {
      throw new Error(`${name} does not answer: ${container.printed()}`)
    }
  }
  return { container, at }
}

const statuses: { readonly [name: string]: number } = {
  catalog: 200,
  provision: 400,
  deprovision: 410,
  unbind: 410,
}

for (const route of routes as readonly Route[]) {
  check(
    `${route.function} starts from the image, answers, and ends on SIGTERM with its request finished`,
    async (t) => {
      const { container, at } = await start(route.function)
      t.teardown(() => container.remove())
      const path = `${route.path.replaceAll(/:\w+/g, 'none')}?service_id=a&plan_id=b&accepts_incomplete=true`
      const body =
        route.method === 'PUT' || route.method === 'PATCH' ? '{"service_id":"a","plan_id":"b"}' : undefined
      const first = await ask(at, route.method, path, body)
      t.is(first.status, statuses[route.function] ?? 404, first.text)
      const running = ask(at, route.method, path, body)
      await delay(30)
      const begun = Date.now()
      container.signal('TERM')
      t.is((await running).status, first.status)
      t.is(await container.ended, 0, container.printed())
      t.true(Date.now() - begun < 1000 + 4 * apiDelay, `${Date.now() - begun} ms`)
      await t.throwsAsync(ask(at, route.method, path, body))
    },
  )
}

check('the edge router starts from the image, and an idle one is gone within a second', async (t) => {
  const { container, at } = await start(edgeRouter)
  t.teardown(() => container.remove())
  t.is((await ask(at, 'GET', '/v2/nothing')).status, 404)
  const begun = Date.now()
  container.signal('TERM')
  t.is(await container.ended, 0)
  t.true(Date.now() - begun < 1000)
})

check('the dashboard starts from the image, and an idle one is gone within a second', async (t) => {
  const { container, at } = await start(dashboard, { DASHBOARD_URL: 'https://broker.example.com' })
  t.teardown(() => container.remove())
  t.is((await ask(at, 'GET', '/dashboard/nothing')).status, 404)
  const style = await ask(at, 'GET', '/dashboard/style.css')
  t.is(style.status, 200)
  t.regex(style.text, /font-family|font:/)
  const begun = Date.now()
  container.signal('TERM')
  t.is(await container.ended, 0, container.printed())
  t.true(Date.now() - begun < 1000)
})

check('V8 finds what was compiled when the image was built', async (t) => {
  for (const name of ['catalog', 'bind', edgeRouter, dashboard]) {
    const url = name === dashboard ? { DASHBOARD_URL: 'https://broker.example.com' } : {}
    const { container } = await start(name, {
      ...url,
      NODE_DEBUG_NATIVE: 'COMPILE_CACHE',
    })
    t.teardown(() => container.remove())
    const accepted = container.printed().match(/cache for .* was accepted/g) ?? []
    const rejected = container.printed().match(/cache for .* was rejected/g) ?? []
    t.true(accepted.length > 0, container.printed().slice(0, 2000))
    t.deepEqual(rejected, [], name)
  }
})

check('the image holds what it needs and nothing else', (t) => {
  const { config, root, size } = image
  t.is(config.User, '65532:65532')
  for (const label of ['title', 'description', 'licenses', 'version'])
    t.truthy(config.Labels[`org.opencontainers.image.${label}`], label)
  t.true(size < 200_000_000, `${size} bytes`)
  for (const name of ['sh', 'bash', 'npm', 'npx', 'apt', 'dpkg', 'busybox'])
    for (const folder of ['bin', 'usr/bin', 'usr/local/bin', 'sbin', 'usr/sbin'])
      t.false(existsSync(join(root, folder, name)), `${folder}/${name}`)
  t.deepEqual(
    readdirSync(join(root, 'app')).toSorted(),
    [
      ...routes.map((route) => route.function),
      edgeRouter,
      dashboard,
      'doctor',
      'chunks',
      'compile-cache',
      'package.json',
      'sbom.cdx.json',
    ].toSorted(),
  )
  const sbom = JSON.parse(readFileSync(join(root, 'app/sbom.cdx.json'), 'utf8'))
  t.is(sbom.bomFormat, 'CycloneDX')
  const names: string[] = sbom.components.map((one: { name: string }) => one.name)
  t.true(names.includes('hono') && names.includes('pg'))
  t.false(names.includes('ava'))
})

check('Node is the one that package.json pins', (t) => {
  const { optionalDependencies } = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'),
  )
  const pinned = optionalDependencies[`node-linux-${process.arch}`]
  t.is(
    execFileSync('chroot', [image.root, '/usr/bin/node', '--version'], { encoding: 'utf8' }).trim(),
    `v${pinned}`,
  )
})

check('a function that is not there ends with a word about it', async (t) => {
  const container = await runContainer(image, { args: ['nothing'], environment: {}, mounts: {} })
  t.teardown(() => container.remove())
  t.not(await container.ended, 0)
  t.regex(container.printed(), /Cannot find module '\/app\/nothing'/)
})
