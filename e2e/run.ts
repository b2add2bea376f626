/**
 * The whole way on a real cluster: installs the broker in the cluster of KUBECONFIG, drives every operation through its
 * one URL, changes what is mounted while it runs, uses the database from a pod, and removes everything.
 *
 *     npm run e2e -- --image registry.example.com/kubedb-service-broker:0.1.0
 *
 * --plain              without Knative: Deployments behind the edge router
 * --sandbox-operator   without KubeDB: CRDs of the sandbox, its operator on this machine
 * --url URL            where the broker is reached; by default the edge router's node port, or its Knative URL
 * --gateway NS/NAME@IP:PORT   also through this Gateway (Gateway API), by the generated HTTPRoute
 * --psql-image IMAGE   has psql and a shell; docker.io/library/postgres:17-alpine unless given
 * --host-address IP    where pods find this machine (--sandbox-operator); by default the API server's
 * --keep               remove nothing at the end
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { defaultNamespaces } from '../generate/rbac.ts'
import { nameOf } from '../generate/roles.ts'
import { edgeRouter, routes } from '../shared/routes.ts'
import { host, routeThrough } from './gateway.ts'
import { type Installation, installationOf } from './install.ts'
import { apply, get, kubectl, serves } from './kubectl.ts'
import { type Platform, platform } from './platform.ts'
import { type SandboxOperator, startSandboxOperator } from './sandbox-operator.ts'

const { broker, databases } = defaultNamespaces
const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    plain: { type: 'boolean', default: false },
    'sandbox-operator': { type: 'boolean', default: false },
    url: { type: 'string' },
    gateway: { type: 'string' },
    'psql-image': { type: 'string', default: 'docker.io/library/postgres:17-alpine' },
    'host-address': { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
})
const service = '2010d83f-d908-4d9f-879c-ce8f5f527f2a'
const plan = '252027a9-3bde-4afa-a251-4457ef08594e'

let passed = 0
let failed = 0
const begun = performance.now()

function say(line: string): void {
  console.log(`${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s  ${line}`)
}

/** One claim. The rest of the run needs it: a failure ends the run. */
async function step<T>(claim: string, act: () => Promise<T>): Promise<T> {
  try {
    const result = await act()
    passed += 1
    say(`✔ ${claim}`)
    return result
  } catch (error) {
    failed += 1
    say(`✘ ${claim}: ${error instanceof Error ? error.message : error}`)
    throw error
  }
}

function check(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Error(sentence)
}

const Pods = v.object({
  items: v.array(
    v.object({
      metadata: v.object({ name: v.string(), labels: v.record(v.string(), v.string()) }),
      spec: v.object({
        serviceAccountName: v.string(),
        automountServiceAccountToken: v.optional(v.boolean(), true),
        volumes: v.optional(v.array(v.looseObject({ name: v.string() })), []),
      }),
    }),
  ),
})
const Names = v.object({ items: v.array(v.object({ metadata: v.object({ name: v.string() }) })) })

async function missing(): Promise<string[]> {
  const knative = values.plain || (await serves('serving.knative.dev/v1'))
  const kubedb = values['sandbox-operator'] || (await serves('kubedb.com/v1'))
  return [
    ...(values.image === undefined ? ['--image names no image of the broker'] : []),
    ...(knative ? [] : ['Knative Serving (serving.knative.dev/v1) is not there: install it, or use --plain']),
    ...(kubedb ? [] : ['KubeDB (kubedb.com/v1) is not there: install it, or use --sandbox-operator']),
  ]
}

async function hostAddress(): Promise<string> {
  if (values['host-address'] !== undefined) return values['host-address']
  const view = await kubectl(['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}'])
  const { hostname } = new URL(view)
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
  check(own.includes(hostname), `${hostname} is not this machine: --host-address says where pods find it`)
  return hostname
}

async function publicUrl(): Promise<string> {
  if (values.url !== undefined) return values.url.replace(/\/$/, '')
  if (!values.plain) {
    const url = await kubectl([
      'get',
      'ksvc',
      `osb-${edgeRouter}`,
      '-n',
      broker,
      '-o',
      'jsonpath={.status.url}',
    ])
    check(url !== '', 'Knative gives the edge router no URL')
    return url
  }
  const port = await kubectl([
    ...['get', 'service', `osb-${edgeRouter}`, '-n', broker, '-o', 'jsonpath={.spec.ports[0].nodePort}'],
  ])
  const node = await kubectl([
    ...['get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'],
  ])
  return `http://${node}:${port}`
}

async function waitForFunctions(): Promise<void> {
  if (values.plain) {
    await kubectl([
      'wait',
      'deployments',
      '--all',
      '-n',
      broker,
      '--for=condition=Available',
      '--timeout=180s',
    ])
  } else {
    await kubectl(['wait', 'ksvc', '--all', '-n', broker, '--for=condition=Ready', '--timeout=300s'])
  }
}

/** Each function under its own ServiceAccount; a token only where it may do something. */
async function accounts(): Promise<void> {
  const { items } = await get(Pods, ['pods', '-n', broker])
  for (const route of routes) {
    const pod = items.find(({ metadata }) => metadata.labels['serving.knative.dev/service'] === nameOf(route))
    check(pod !== undefined, `${route.function} has no pod`)
    check(
      pod.spec.serviceAccountName === nameOf(route),
      `${route.function} runs as ${pod.spec.serviceAccountName}`,
    )
    const token = pod.spec.volumes.some(({ name }) => name.startsWith('kube-api-access'))
    check(token === Object.keys(route.permissions).length > 0, `${route.function}: its token is ${token}`)
  }
}

/** Runs psql in a pod, as an application would. */
async function psql(uri: string, sql: string): Promise<string> {
  const name = `psql-${randomUUID().slice(0, 8)}`
  await apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: databases },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'psql',
          image: values['psql-image'],
          command: ['psql', '-v', 'ON_ERROR_STOP=1', '-At', '-c', sql, uri],
          env: [{ name: 'PGCONNECT_TIMEOUT', value: '10' }],
        },
      ],
    },
  })
  try {
    for (const end = Date.now() + 90_000; ; await delay(500)) {
      const phase = await kubectl(['get', 'pod', name, '-n', databases, '-o', 'jsonpath={.status.phase}'])
      if (phase === 'Succeeded') return (await kubectl(['logs', name, '-n', databases])).trim()
      if (phase === 'Failed')
        throw new Error(`psql: ${(await kubectl(['logs', name, '-n', databases])).trim()}`)
      check(Date.now() < end, `the pod with psql is ${phase} after 90 seconds`)
    }
  } finally {
    await kubectl(['delete', 'pod', name, '-n', databases, '--wait=false'])
  }
}

/** Mounted Secrets and ConfigMaps change under running functions, within two minutes. */
async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 150_000; ; await delay(1000)) {
    if (await condition()) return
    check(Date.now() < end, `${what}: not after 150 seconds`)
  }
}

/** Mounted files change under the functions: what is done meanwhile goes on. */
async function driveWhileMountsChange(url: string, { username, password }: Installation): Promise<void> {
  const cf = platform(url, username, password)
  await step('the catalog is there, and a wrong password is refused', async () => {
    const { body } = await cf.expect(200, 'GET', 'catalog')
    check(Array.isArray(body.services) && body.services.length > 0, 'no services')
    await platform(url, username, 'wrong').expect(401, 'GET', 'catalog')
  })

  const second = { username: 'second', password: randomUUID() }
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

  await drive(cf)
  await step('what changed in the Secret and the ConfigMap has reached the functions', async () => {
    const other = platform(url, second.username, second.password)
    await until('the second user', async () => (await other.ask('GET', 'catalog')).status === 200)
    await until('the changed catalog', async () =>
      JSON.stringify((await cf.ask('GET', 'catalog')).body).includes('Changed by the end-to-end test'),
    )
  })
}

/** @param cf sends requests through the way in that is tested */
async function drive(cf: Platform): Promise<void> {
  const id = randomUUID()
  const instance = `service_instances/${id}`
  const ids = `service_id=${service}&plan_id=${plan}&accepts_incomplete=true`
  await step('an instance is provisioned', async () => {
    const { body } = await cf.expect(202, 'PUT', `${instance}?accepts_incomplete=true`, {
      service_id: service,
      plan_id: plan,
      organization_guid: 'e2e',
      space_guid: 'e2e',
    })
    const end = await cf.settle(instance, body.operation)
    check(end.body.state === 'succeeded', JSON.stringify(end.body))
    await cf.expect(200, 'GET', instance)
  })

  const binding = `${instance}/service_bindings/one`
  const uri = await step('a binding gives credentials, the same when fetched', async () => {
    const bound = await cf.expect(201, 'PUT', binding, { service_id: service, plan_id: plan })
    const fetched = await cf.expect(200, 'GET', binding)
    check(
      JSON.stringify(fetched.body.credentials) === JSON.stringify(bound.body.credentials),
      'others when fetched',
    )
    return v.parse(v.object({ uri: v.string() }), bound.body.credentials).uri
  })
  await step('psql in a pod writes and reads with them', async () => {
    const sql =
      "create table notes (line text); insert into notes values ('from a pod'); select line from notes"
    check((await psql(uri, sql)).includes('from a pod'), 'the line is not there')
  })
  await step('an update is made', async () => {
    const { body } = await cf.expect(202, 'PATCH', `${instance}?accepts_incomplete=true`, {
      service_id: service,
      parameters: { storage: '20Gi' },
    })
    const end = await cf.settle(instance, body.operation)
    check(end.body.state === 'succeeded', JSON.stringify(end.body))
  })
  await step('the data is still there', async () => {
    check((await psql(uri, 'select line from notes')) === 'from a pod', 'the line is gone')
  })
  await step('unbind takes the user away: psql is refused', async () => {
    await cf.expect(200, 'DELETE', `${binding}?${ids}`)
    await cf.expect(404, 'GET', binding)
    const refused = await psql(uri, 'select 1').catch((error: Error) => error.message)
    check(
      /psql: .*(password authentication failed|not permitted to log in|does not exist)/s.test(refused),
      refused,
    )
    await cf.expect(410, 'DELETE', `${binding}?${ids}`)
    await cf.expect(404, 'GET', `${binding}/last_operation`)
  })
  await step('deprovision leaves nothing', async () => {
    const { body } = await cf.expect(202, 'DELETE', `${instance}?${ids}`)
    const end = await cf.settle(instance, body.operation)
    check(end.status === 410, JSON.stringify(end))
    for (const [kind, namespace] of [
      ['appbindings', broker],
      ['appbindings', databases],
      ['postgreses', databases],
      ['persistentvolumeclaims', databases],
    ] as const) {
      const { items } = await get(Names, [kind, '-n', namespace])
      check(items.length === 0, `${kind} are left: ${items.map(({ metadata }) => metadata.name).join(', ')}`)
    }
    await cf.expect(410, 'DELETE', `${instance}?${ids}`)
  })
}

/** The same through a gateway of the cluster: every operation finds its function by the generated route. */
async function driveThroughGateway(text: string, { username, password }: Installation): Promise<void> {
  const [, namespace = '', name = '', address = '', port = ''] = text.match(/^(.+)\/(.+)@(.+):(\d+)$/) ?? []
  check(port !== '', '--gateway must be NAMESPACE/NAME@IP:PORT')
  const cf = platform(`http://${address}:${port}`, username, password, host)
  const remove = await step('the gateway takes the generated routes', async () => {
    const undo = await routeThrough({ namespace, name, address, port: Number(port) }, broker)
    await until('the route', async () => (await cf.ask('GET', 'catalog')).status === 200)
    return undo
  })
  await drive(cf)
  await step('what is no operation reaches no function through the gateway', async () => {
    for (const path of [
      'catalog/',
      'service_instances/',
      'service_instances/a/b',
      'service_instances/a/service_bindings',
    ]) {
      const answer = await cf.ask('GET', path)
      check(answer.status === 404 && answer.body.error === undefined, `${path}: ${JSON.stringify(answer)}`)
    }
  })
  await remove()
}

/** Knative only: quiet functions go, and come back. */
async function scaleToZero(cf: Platform): Promise<void> {
  await step('quiet functions go to zero', async () => {
    for (const end = Date.now() + 300_000; ; await delay(5000)) {
      const { items } = await get(Pods, ['pods', '-n', broker])
      const left = items.filter(
        ({ metadata }) => metadata.labels['serving.knative.dev/service'] !== `osb-${edgeRouter}`,
      )
      if (left.length === 0) return
      check(Date.now() < end, `still there: ${left.map(({ metadata }) => metadata.name).join(', ')}`)
    }
  })
  await step('and wake with the next request', async () => {
    const { milliseconds } = await cf.expect(200, 'GET', 'catalog')
    say(`  the catalog woke and answered in ${Math.round(milliseconds)} ms`)
  })
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
    const address = await hostAddress()
    operator = await step("the sandbox's operator serves this cluster", () =>
      startSandboxOperator(directory, address, (line) => say(`  ${line}`)),
    )
  }
  const installing = await installationOf(values.plain ? 'plain' : 'overlays/edge-router', values.image ?? '')
  installation = installing
  await step('the broker is installed, Pod Security restricted', () => installing.apply())
  await step('every function starts', waitForFunctions)
  await step('every function runs under its own ServiceAccount', accounts)
  const url = await publicUrl()
  say(`  the broker is at ${url}`)
  await driveWhileMountsChange(url, installing)
  if (values.gateway !== undefined) await driveThroughGateway(values.gateway, installing)
  if (!values.plain) await scaleToZero(platform(url, installing.username, installing.password))
} catch (error) {
  if (failed === 0) {
    failed += 1
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
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)
