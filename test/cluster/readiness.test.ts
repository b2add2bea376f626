/** Waiting for Knative's Services: the API server and kubectl are real, what Knative would write is written here. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { type ControlPlane, startControlPlane } from '../../sandbox/control-plane/control-plane.ts'
import { ask } from '../../sandbox/control-plane/request.ts'
import { kubectlFile } from '../support/go-programs.ts'

let plane: ControlPlane
let directory: string

/** An API server of its own: other tests have Knative's real kind of that name. */
const cluster = {
  namespaces: { broker: 'default' },
  async admin(method: string, path: string, content?: unknown): Promise<{ status: number; text: string }> {
    const { status, body } = await ask(plane, method, path, content)
    return { status, text: body }
  },
}

test.after.always(async () => {
  await plane?.stop()
  await rm(directory, { recursive: true, force: true })
})

const group = 'serving.knative.dev'

test.before('kubectl, and a kind of that name', async (t) => {
  // It is built at its first use.
  t.timeout(20 * 60_000)
  process.env.KUBECTL = await kubectlFile(console.error)
  directory = await mkdtemp(join(tmpdir(), 'readiness-'))
  plane = await startControlPlane({ directory, progress: (line) => t.log(line) })
  process.env.KUBECONFIG = plane.kubeconfigFile
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  const { status, text } = await cluster.admin(
    'POST',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    {
      metadata: { name: `services.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'services', singular: 'service', kind: 'Service', listKind: 'ServiceList' },
        versions: [{ name: 'v1', served: true, storage: true, schema, subresources: { status: {} } }],
      },
    },
  )
  if (status !== 201) throw new Error(text)
  for (const end = Date.now() + 20_000; ; await delay(100)) {
    if ((await cluster.admin('GET', `/apis/${group}/v1`)).status === 200) break
    if (Date.now() > end) throw new Error('the kind is not served')
  }
})

const services = () => `/apis/${group}/v1/namespaces/${cluster.namespaces.broker}/services`

async function make(name: string, run: string): Promise<void> {
  const metadata = { name, labels: { 'skaffold.dev/run-id': run } }
  const { status, text } = await cluster.admin('POST', services(), {
    apiVersion: `${group}/v1`,
    kind: 'Service',
    metadata,
    spec: { image: 'one' },
  })
  if (status !== 201) throw new Error(text)
}

/** As Knative does it: the conditions of a generation. */
async function say(name: string, generation: number, ready: string, message = ''): Promise<void> {
  const reason = message === '' ? {} : { reason: 'RevisionFailed', message }
  const conditions = [{ type: 'Ready', status: ready, ...reason }]
  const status = { observedGeneration: generation, conditions }
  const answer = await cluster.admin('PATCH', `${services()}/${name}/status`, { status })
  if (answer.status !== 200) throw new Error(answer.text)
}

/** It reads KUBECTL when it is loaded. */
async function wait(run: string, deadline: number, onReady?: (object: string) => void): Promise<number> {
  const { untilReady } = await import('../../e2e/readiness.ts')
  return untilReady({
    namespace: cluster.namespaces.broker,
    kinds: [`services.${group}`],
    selector: `skaffold.dev/run-id=${run}`,
    deadline,
    patience: 5,
    ...(onReady && { onReady }),
  })
}

test('it ends when each is ready at its present generation, and tells each once', async (t) => {
  await make('a-one', 'a')
  await make('a-two', 'a')
  await say('a-one', 1, 'True')
  // What is said of another generation counts for nothing.
  await say('a-two', 0, 'True')
  const told: string[] = []
  const waiting = wait('a', 60, (object) => told.push(object))
  const first = await Promise.race([waiting, delay(3000, 'waiting')])
  t.is(first, 'waiting')
  t.deepEqual(told, ['Service a-one'])
  await say('a-two', 1, 'True')
  t.is(await waiting, 2)
  t.deepEqual(told, ['Service a-one', 'Service a-two'])
})

test("one that fails ends it with the revision's own words; one that fails for a moment does not", async (t) => {
  await make('b-one', 'b')
  await make('b-two', 'b')
  await say('b-one', 1, 'False', 'for a moment')
  const sentence = 'Revision "b-two-00001" failed with message: Unable to fetch image "none".'
  await say('b-two', 1, 'False', sentence)
  const waiting = wait('b', 60)
  await delay(1000)
  await say('b-one', 1, 'Unknown')
  await t.throwsAsync(waiting, { message: `Service b-two is not ready: RevisionFailed ${sentence}` })
})

test('the time is up: each that is not ready is named', async (t) => {
  await make('c-one', 'c')
  await t.throwsAsync(wait('c', 1), {
    message: 'Service c-one is not ready: Knative has not looked at it: is its controller up?',
  })
})

test('without a patience of its own, what fails may recover until the time is up', async (t) => {
  await make('d-one', 'd')
  await say('d-one', 1, 'False', 'the Service is coming')
  const { untilReady } = await import('../../e2e/readiness.ts')
  const kinds = [`services.${group}`]
  const selector = 'skaffold.dev/run-id=d'
  const waiting = untilReady({ namespace: cluster.namespaces.broker, kinds, selector, deadline: 60 })
  t.is(await Promise.race([waiting, delay(8000, 'waiting')]), 'waiting')
  await say('d-one', 1, 'True')
  t.is(await waiting, 1)
})

/** As the kubelet and the controller of Deployments do it. */
const apps = `/apis/apps/v1/namespaces/${cluster.namespaces.broker}/deployments`
const podsPath = `/api/v1/namespaces/${cluster.namespaces.broker}/pods`

async function granted(method: string, path: string, content: object): Promise<void> {
  const { status, text } = await cluster.admin(method, path, content)
  if (status >= 300) throw new Error(text)
}

async function deploy(name: string): Promise<void> {
  const labels = { app: name, 'skaffold.dev/run-id': name }
  const spec = { containers: [{ name: 'function', image: 'none' }] }
  await granted('POST', apps, {
    metadata: { name, labels },
    spec: { selector: { matchLabels: { app: name } }, template: { metadata: { labels }, spec } },
  })
  await granted('POST', podsPath, { metadata: { name, labels }, spec })
}

async function sayOfPod(name: string, state: object): Promise<void> {
  const containerStatuses = [
    { name: 'function', image: 'none', imageID: '', ready: false, restartCount: 0, state },
  ]
  await granted('PATCH', `${podsPath}/${name}/status`, { status: { containerStatuses } })
}

async function waitForDeployment(run: string): Promise<number> {
  const { untilReady } = await import('../../e2e/readiness.ts')
  return untilReady({
    namespace: cluster.namespaces.broker,
    kinds: ['deployments.apps', 'pods'],
    selector: `skaffold.dev/run-id=${run}`,
    deadline: 60,
    patience: 5,
  })
}

test('a Deployment is waited for; a pull that fails once is no failure', async (t) => {
  await deploy('e-one')
  await sayOfPod('e-one', { waiting: { reason: 'ErrImagePull', message: 'pull QPS exceeded' } })
  const waiting = waitForDeployment('e-one')
  await delay(1500)
  await sayOfPod('e-one', { waiting: { reason: 'ContainerCreating' } })
  t.is(await Promise.race([waiting, delay(6000, 'waiting')]), 'waiting')
  const status = {
    observedGeneration: 1,
    replicas: 1,
    updatedReplicas: 1,
    readyReplicas: 1,
    availableReplicas: 1,
  }
  await granted('PATCH', `${apps}/e-one/status`, { status })
  t.is(await waiting, 1)
})

test("a Deployment whose pod cannot start ends it in the kubelet's words", async (t) => {
  await deploy('f-one')
  await sayOfPod('f-one', {
    waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "none"' },
  })
  await t.throwsAsync(waitForDeployment('f-one'), {
    message: 'Deployment f-one is not ready: ImagePullBackOff Back-off pulling image "none"',
  })
})

test('where nothing of a run is there, nothing is waited for', async (t) => {
  t.is(await wait('none', 1), 0)
})
