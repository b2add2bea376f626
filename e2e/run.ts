/**
 * The whole way on a real cluster: installs the broker in the cluster of KUBECONFIG, drives every operation through its
 * one URL, changes what is mounted while it runs, uses the database from a pod, and removes everything.
 *
 *     npm run e2e -- --image registry.example.com/kubedb-service-broker:0.1.0
 *
 * --plain              without Knative: Deployments behind the edge router
 * --sandbox-operator   without KubeDB: CRDs of the sandbox, its operator on this machine
 * --url URL            where the broker is reached, and names of Knative that lead nowhere by themselves; by default the
 *                      edge router's node port, or its Knative URL
 * --connect IP:PORT    of Knative's gateway, where the names in Knative's URLs lead nowhere
 * --wakes N            how often functions are woken beside a bare server, 5 unless given
 * --gateway NS/NAME@IP:PORT   also through this Gateway (Gateway API), by the generated HTTPRoute
 * --routes KIND,…      what leads there: HTTPRoute (by default), HTTPProxy (the Gateway is Contour's, with one listener)
 * --psql-image IMAGE   has psql and a shell; docker.io/library/postgres:17-alpine unless given
 * --host-address IP    where pods find this machine (--sandbox-operator); by default the API server's
 * --keep               remove nothing at the end
 */
import { randomUUID } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import type { Entrance } from '../generate/gateways.ts'
import { exampleHost } from '../generate/knative.ts'
import { defaultNamespaces } from '../generate/rbac.ts'
import { nameOf } from '../generate/roles.ts'
import { dashboardRoutes, edgeRouter, type Route, routes } from '../shared/routes.ts'
import { assertShown, pageAt } from './dashboard.ts'
import { drive, driveHostilePaths, harmless } from './drive.ts'
import { type Front, type forms, host as gatewayHost, routeThrough, standForLocalGateway } from './gateway.ts'
import { hostAddress } from './host-address.ts'
import { type Installation, installationOf } from './install.ts'
import { kubectl, serves } from './kubectl.ts'
import { assertNothingLeft } from './nothing-left.ts'
import { type Platform, platform } from './platform.ts'
import { psql } from './psql.ts'
import { type SandboxOperator, startSandboxOperator } from './sandbox-operator.ts'
import {
  bareServer,
  median,
  podsOf,
  type Sleeper,
  serve,
  untilServed,
  untilZero,
  wakeInTurns,
} from './scale.ts'
import { check, counts, say, step, until } from './steps.ts'

const { broker } = defaultNamespaces
/** The ten functions, and the dashboard. */
const functions: readonly Route[] = [...routes, dashboardRoutes[0]]
const Forms = v.array(v.picklist(['HTTPRoute', 'HTTPProxy'], '--routes must list HTTPRoute, HTTPProxy'))
const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    plain: { type: 'boolean', default: false },
    'sandbox-operator': { type: 'boolean', default: false },
    url: { type: 'string' },
    connect: { type: 'string' },
    wakes: { type: 'string', default: '5' },
    gateway: { type: 'string' },
    routes: { type: 'string', default: 'HTTPRoute' },
    'psql-image': { type: 'string', default: 'docker.io/library/postgres:17-alpine' },
    'host-address': { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
})
async function missing(): Promise<string[]> {
  const knative = values.plain || (await serves('serving.knative.dev/v1'))
  const kubedb = values['sandbox-operator'] || (await serves('kubedb.com/v1'))
  return [
    ...(values.image === undefined ? ['--image names no image of the broker'] : []),
    ...(knative ? [] : ['Knative Serving (serving.knative.dev/v1) is not there: install it, or use --plain']),
    ...(kubedb ? [] : ['KubeDB (kubedb.com/v1) is not there: install it, or use --sandbox-operator']),
  ]
}

/** Where requests go, and the Host header they carry where that is only an address. */
interface Address {
  url: string
  host?: string
}

/** @returns the node port of the edge router without Knative */
async function nodePort(): Promise<number> {
  const args = [
    'get',
    'service',
    `osb-${edgeRouter}`,
    '-n',
    broker,
    '-o',
    'jsonpath={.spec.ports[0].nodePort}',
  ]
  return Number(await kubectl(args))
}

async function publicAddress(): Promise<Address> {
  if (values.url !== undefined) return { url: values.url.replace(/\/$/, '') }
  if (values.plain) {
    const port = await nodePort()
    const node = await kubectl([
      ...['get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'],
    ])
    return { url: `http://${node}:${port}` }
  }
  // The DomainMapping of the overlay is the way in that users have; its name is an example that leads nowhere by itself.
  const object = values.connect === undefined ? `ksvc/osb-${edgeRouter}` : `domainmapping/${exampleHost}`
  return addressOf(await kubectl(['get', object, '-n', broker, '-o', 'jsonpath={.status.url}']))
}

/** @param url of something that Knative serves */
async function addressOf(url: string): Promise<Address> {
  const { hostname, origin } = new URL(url)
  check(
    !hostname.endsWith('.cluster.local'),
    `${url} is for the cluster's inside: config-domain of Knative names no domain`,
  )
  if (values.connect !== undefined) return { url: `http://${values.connect}`, host: hostname }
  const known = await lookup(hostname).then(
    () => true,
    () => false,
  )
  if (known) return { url: origin }
  check(
    values.url !== undefined,
    `no address is known of ${hostname}: --connect IP:PORT says where Knative's gateway listens`,
  )
  // Often the broker's name alone is in the DNS, and leads to Knative's gateway.
  return { url: new URL(values.url).origin, host: hostname }
}

async function waitForFunctions(): Promise<void> {
  if (!values.plain) return untilServed(broker)
  await kubectl(['wait', 'deployments', '--all', '-n', broker, '--for=condition=Available', '--timeout=180s'])
}

/** Each function under its own ServiceAccount; a token only where it may do something. */
async function accounts(): Promise<void> {
  const pods = await podsOf(functions.map(nameOf), broker)
  for (const route of functions) {
    const pod = pods.get(nameOf(route))
    check(pod !== undefined, `${route.function} has no pod`)
    check(
      pod.spec.serviceAccountName === nameOf(route),
      `${route.function} runs as ${pod.spec.serviceAccountName}`,
    )
    const token = pod.spec.volumes.some(({ name }) => name.startsWith('kube-api-access'))
    check(token === Object.keys(route.permissions).length > 0, `${route.function}: its token is ${token}`)
  }
}

/** On Knative a changed variable is a revision of every function; without it the broker goes and comes again. */
async function changeVariable(installation: Installation): Promise<void> {
  const claim = values.plain
    ? 'the broker is uninstalled, and installed again with another variable'
    : 'a changed variable reaches every function'
  await step(claim, async () => {
    // The platforms know the address of the broker that was there.
    const port = values.plain ? await nodePort() : undefined
    if (values.plain) await installation.uninstall()
    await installation.apply({ ENDPOINTS: 'true' }, port)
    await waitForFunctions()
  })
}

async function changeMounts(
  { username, password }: Installation,
  second: { username: string; password: string },
): Promise<void> {
  await step('the users Secret and the catalog change while the functions run', async () => {
    const users = JSON.stringify([{ username, password }, second])
    const data = { 'users.json': Buffer.from(users).toString('base64') }
    await kubectl(['patch', 'secret', 'osb-users', '-n', broker, '-p', JSON.stringify({ data })])
    const yaml = await kubectl([
      'get',
      'configmap',
      'osb-catalog',
      '-n',
      broker,
      '-o',
      'jsonpath={.data.catalog\\.yaml}',
    ])
    const changed = {
      data: {
        'catalog.yaml': yaml.replace(/^(\s*-?\s*description: ).*$/m, '$1Changed by the end-to-end test'),
      },
    }
    check(changed.data['catalog.yaml'] !== yaml, 'the catalog has no description')
    await kubectl(['patch', 'configmap', 'osb-catalog', '-n', broker, '-p', JSON.stringify(changed)])
  })
}

/** Mounted files change under the functions: what is done meanwhile goes on. The kubelet takes up to a minute. */
async function driveWhileMountsChange(
  address: Address,
  installation: Installation,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const { url, host } = address
  const { username, password } = installation
  const cf = platform(url, username, password, host)
  await step('the catalog is there, and a wrong password is refused', async () => {
    const { body } = await cf.expect(200, 'GET', 'catalog')
    check(Array.isArray(body.services) && body.services.length > 0, 'no services')
    await platform(url, username, 'wrong', host).expect(401, 'GET', 'catalog')
  })

  const second = { username: 'second', password: randomUUID() }
  await drive(cf, {
    sql: (uri, statements) => psql(values['psql-image'], uri, statements),
    meanwhile: async () => {
      await changeVariable(installation)
      await changeMounts(installation, second)
    },
    assertShown: (instanceId) => assertShown(address, instanceId, installation.cookieKey),
    assertNothingLeft,
  })
  await meanwhile()
  await step('what changed in the Secret and the ConfigMap has reached the functions', async () => {
    const other = platform(url, second.username, second.password, host)
    await until('the second user', async () => (await other.ask('GET', 'catalog')).status === 200)
    await until('the changed catalog', async () =>
      JSON.stringify((await cf.ask('GET', 'catalog')).body).includes('Changed by the end-to-end test'),
    )
  })
}

/** The same through a gateway of the cluster: every operation finds its function by the generated routes. */
async function driveThroughGateway(
  text: string,
  { username, password, cookieKey }: Installation,
): Promise<void> {
  const [, namespace = '', name = '', address = '', port = ''] = text.match(/^(.+)\/(.+)@(.+):(\d+)$/) ?? []
  check(port !== '', '--gateway must be NAMESPACE/NAME@IP:PORT')
  const front = { namespace, name, address, port: Number(port) }
  const entry = { url: `http://${address}:${port}`, host: gatewayHost }
  const cf = platform(entry.url, username, password, entry.host)
  const shown = (instanceId: string) => assertShown(entry, instanceId, cookieKey)
  const stand = values.plain ? await standForLocalGateway(front, broker) : undefined
  const local = stand?.local ?? { name: 'kourier-internal', namespace: 'kourier-system' }
  try {
    for (const form of v.parse(Forms, values.routes.split(','))) {
      await driveThroughRoutes(form, front, local, cf, shown)
    }
  } finally {
    await stand?.remove()
  }
}

async function driveThroughRoutes(
  form: keyof typeof forms,
  front: Front,
  local: Entrance['local'],
  cf: Platform,
  assertShown: (instanceId: string) => Promise<void>,
): Promise<void> {
  const routing = await step(`the gateway takes the generated ${form}`, () =>
    routeThrough(form, front, broker, local),
  )
  try {
    await step(`the ${form} leads to the catalog`, async () => {
      const leads = until('the route', async () => (await statusAt(cf)) === 200)
      await leads.catch(async (error: Error) => {
        throw new Error(`${error.message}; the gateway says of it: ${await routing.status()}`)
      })
    })
    await drive(cf, { assertShown, assertNothingLeft })
    await step(`what is no operation reaches no function by the ${form}`, () => driveHostilePaths(cf))
  } finally {
    await routing.remove()
  }
  await step(`without the ${form} there is no way in`, () =>
    until('the route is gone', async () => [0, 404].includes(await statusAt(cf))),
  )
}

/** @returns the status of a request, or 0 where nobody listens: a gateway without routes may close its port */
async function statusAt(cf: Platform): Promise<number> {
  return cf.ask('GET', 'catalog').then(
    ({ status }) => status,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') return 0
      throw error
    },
  )
}

/** Knative only: what is for the cluster's inside has no way in from outside, whatever host name a caller says. */
async function functionsAreInside({ url }: Address, { username, password }: Installation): Promise<void> {
  for (const route of routes) {
    for (const suffix of ['', '.svc', '.svc.cluster.local']) {
      const host = `${nameOf(route)}.${broker}${suffix}`
      const answer = await platform(url, username, password, host).ask(...harmless(route))
      check(answer.status === 404 && !('description' in answer.body), `${host}: ${JSON.stringify(answer)}`)
    }
  }
  for (const suffix of ['', '.svc', '.svc.cluster.local']) {
    const host = `${nameOf(dashboardRoutes[0])}.${broker}${suffix}`
    const { status } = await pageAt({ url, host }, 'style.css')
    check(status === 404, `${host}: ${status}`)
  }
}

/** Knative only: quiet functions go, all come back at once, and each as fast as a server can. */
async function scale(address: Address, { username, password }: Installation): Promise<void> {
  const cf = platform(address.url, username, password, address.host)
  const names = functions.map(nameOf)
  await step('the ten quiet functions and the dashboard go to zero', () => untilZero(names, broker))
  await step('all of them wake at once, each under its own ServiceAccount', async () => {
    const [style, ...woken] = await Promise.all([
      pageAt(address, 'style.css'),
      ...routes.map(async (route) => ({ route, answer: await cf.ask(...harmless(route)) })),
    ])
    check(style.status === 200, `the dashboard: ${style.status} ${style.text.slice(0, 500)}`)
    // That each of the ten has a pod now tells that each request found its function.
    for (const { route, answer } of woken) {
      check(answer.status < 500, `${route.function}: ${JSON.stringify(answer)}`)
    }
    await accounts()
    const times = woken.map(({ answer }) => answer.milliseconds)
    say(`  the first answered in ${seconds(Math.min(...times))}, the last in ${seconds(Math.max(...times))}`)
  })
  const image = values.image ?? ''
  const asking = async (answer: Promise<{ milliseconds: number }>) => (await answer).milliseconds
  const [bare, mounting] = ['osb-e2e-bare-server', 'osb-e2e-bare-server-with-mounts']
  const servers = await step('bare servers of the same image are served beside them', async () => {
    const sleepers: Sleeper[] = []
    for (const service of [bare, mounting]) {
      const at = await addressOf(
        await serve(service, broker, bareServer(service, image, service === mounting)),
      )
      const server = platform(at.url, username, password, at.host)
      sleepers.push({ service, wake: () => asking(server.expect(200, 'GET', '')) })
    }
    return sleepers
  })
  await step(`functions are woken in turns with them, ${values.wakes} times`, async () => {
    const woken = routes
      .filter((route) => ['catalog', 'fetch-instance'].includes(route.function))
      .map((route) => {
        const status = route.function === 'catalog' ? 200 : 404
        return { service: nameOf(route), wake: () => asking(cf.expect(status, ...harmless(route))) }
      })
    const taken = await wakeInTurns([...servers, ...woken], Number(values.wakes), broker)
    say('  least / median / most, and the median as a multiple of the bare server:')
    const reference = median(taken.get(bare) ?? [])
    for (const [name, times] of taken) {
      const [least, middle, most] = [Math.min(...times), median(times), Math.max(...times)]
      const ratio = middle / reference
      say(`  ${name}: ${[least, middle, most].map(seconds).join(' / ')}, ${ratio.toFixed(2)} ×`)
      // A busy machine is no mistake of ours; a start that does more than it should is.
      check(ratio < 4, `${name} takes ${ratio.toFixed(2)} times as long as a bare server`)
    }
  })
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`
}

const lacks = await missing()
if (lacks.length > 0) {
  for (const line of lacks) console.error(line)
  process.exit(2)
}
const directory = await mkdtemp(join(tmpdir(), 'kubedb-service-broker-e2e-'))
let operator: SandboxOperator | undefined
let installation: Installation | undefined
try {
  if (values['sandbox-operator']) {
    const address = await hostAddress(values['host-address'])
    operator = await step("the sandbox's operator serves this cluster", () =>
      startSandboxOperator(directory, address, (line) => say(`  ${line}`)),
    )
  }
  const installing = await installationOf(values.plain ? 'plain' : 'overlays/edge-router', values.image ?? '')
  installation = installing
  await step('the broker is installed, Pod Security restricted', () => installing.install())
  await step('every function starts', waitForFunctions)
  // Where functions scale to zero, some may have gone again by now: looked at when they wake.
  if (values.plain) await step('every function runs under its own ServiceAccount', accounts)
  const address = await publicAddress()
  say(`  the broker is at ${address.host ?? ''} ${address.url}`)
  await driveWhileMountsChange(address, installing, async () => {
    if (values.gateway !== undefined) await driveThroughGateway(values.gateway, installing)
    if (!values.plain) {
      await step('no function has a way in from outside but these', () =>
        functionsAreInside(address, installing),
      )
    }
  })
  if (!values.plain) await scale(address, installing)
} catch (error) {
  if (counts.failed === 0) {
    counts.failed += 1
    console.error(error)
  }
  for (const args of [
    ['get', 'pods', '-A', '-o', 'wide'],
    ['get', 'events', '-n', broker, '--sort-by=.lastTimestamp'],
    [
      'logs',
      '-n',
      broker,
      '--all-containers',
      '--prefix',
      '--tail=20',
      '-l',
      'app.kubernetes.io/part-of=kubedb-service-broker',
    ],
  ]) {
    console.error(await kubectl(args).catch((failure: Error) => failure.message))
  }
} finally {
  if (!values.keep) {
    const installed = installation
    if (installed) await step('everything is removed', () => installed.remove()).catch(() => undefined)
    await operator?.stop().catch((error) => say(`the operator did not end in order: ${error}`))
    await rm(directory, { recursive: true, force: true })
  }
}
console.log(`\n${counts.passed} passed, ${counts.failed} failed`)
process.exit(counts.failed > 0 ? 1 : 0)
