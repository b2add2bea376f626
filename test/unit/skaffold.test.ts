/** What skaffold.yaml names is there. That Skaffold takes it, `npm run e2e:skaffold` shows by Skaffold itself. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import * as v from 'valibot'
import { parse, parseAllDocuments } from 'yaml'
import { image } from '../../generate/services.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const document: unknown = parse(read('skaffold.yaml'))

const Paths = v.object({ kustomize: v.object({ paths: v.array(v.string()) }) })
const Forward = v.array(v.object({ resourceName: v.string(), namespace: v.string(), port: v.number() }))
const Hooks = v.array(v.object({ host: v.object({ command: v.array(v.string()) }) }))
const Verify = v.tuple([
  v.object({
    container: v.object({
      name: v.string(),
      image: v.string(),
      env: v.tuple([v.object({ name: v.literal('BROKER_URL'), value: v.string() })]),
    }),
    executionMode: v.object({ kubernetesCluster: v.object({ jobManifestPath: v.string() }) }),
  }),
])
const Skaffold = v.object({
  // The oldest with `verify` in the cluster: Skaffold 2.3 and every one since know it.
  apiVersion: v.literal('skaffold/v4beta4'),
  build: v.object({
    artifacts: v.tuple([
      v.object({
        image: v.string(),
        context: v.string(),
        docker: v.object({ dockerfile: v.string(), target: v.string() }),
      }),
    ]),
  }),
  manifests: Paths,
  deploy: v.object({ kubectl: v.object({ hooks: v.object({ before: Hooks, after: Hooks }) }) }),
  portForward: Forward,
  verify: Verify,
  profiles: v.array(
    v.object({
      name: v.string(),
      manifests: v.optional(Paths),
      portForward: v.optional(Forward),
      verify: v.optional(Verify),
    }),
  ),
  resourceSelector: v.object({
    allow: v.tuple([v.object({ groupKind: v.string(), labels: v.array(v.string()) })]),
    deny: v.optional(v.never()),
  }),
})
const skaffold = v.parse(Skaffold, document)

test('what skaffold.yaml names is there', (t) => {
  const { build, manifests, profiles } = skaffold
  const [artifact] = build.artifacts
  t.is(artifact.image, image, 'the image of the manifests is the one that is built')
  const dockerfile = join(artifact.context, artifact.docker.dockerfile)
  t.true(existsSync(join(root, dockerfile)))
  t.regex(read(dockerfile), new RegExp(`^FROM .* AS ${artifact.docker.target}$`, 'm'))
  for (const { kustomize } of [manifests, ...profiles.flatMap((one) => one.manifests ?? [])])
    for (const path of kustomize.paths) t.true(existsSync(join(root, path, 'kustomization.yaml')), path)
})

test('what is forwarded is a Service of what is deployed', (t) => {
  const served = (file: string) =>
    parseAllDocuments(read(file))
      .map((one) => one.toJS())
      .filter(({ apiVersion, kind }) => apiVersion === 'v1' && kind === 'Service')
      .map(({ metadata, spec }) => [metadata.name, metadata.namespace, spec.ports[0].port])
  const named = (forward: v.InferOutput<typeof Forward> = []) =>
    forward.map(({ resourceName, namespace, port }) => [resourceName, namespace, port])
  t.deepEqual(named(skaffold.portForward), served('knative/development/410-forwarded.yaml'))
  const plain = skaffold.profiles.find(({ name }) => name === 'plain')
  const [forward] = named(plain?.portForward)
  t.true(served('knative/plain/300-deployments.yaml').some((one) => one.join() === forward?.join()))
})

test('what verifies the broker is a pod beside it, that asks the Service which is forwarded', (t) => {
  for (const { portForward, verify } of [skaffold, ...skaffold.profiles]) {
    if (portForward === undefined || verify === undefined) {
      t.deepEqual([portForward, verify], [undefined, undefined])
      continue
    }
    const [{ container, executionMode }] = verify
    const [forwarded] = portForward
    t.is(container.image, image)
    t.is(container.env[0].value, `http://${forwarded?.resourceName}`)
    const job = parse(read(executionMode.kubernetesCluster.jobManifestPath))
    t.is(job.metadata.namespace, forwarded?.namespace)
    t.is(job.spec.template.spec.containers[0].name, container.name)
    t.false(job.spec.template.spec.automountServiceAccountToken)
  }
})

test('what runs before and after a deployment is a script of package.json', (t) => {
  const { scripts } = v.parse(
    v.object({ scripts: v.record(v.string(), v.string()) }),
    JSON.parse(read('package.json')),
  )
  const { before, after } = skaffold.deploy.kubectl.hooks
  const names = [...before, ...after].map(({ host }) => host.command.at(-1) ?? '')
  t.is(names.length, 2)
  for (const name of names) t.true(existsSync(join(root, scripts[name]?.replace('node ', '') ?? '')), name)
})

test('a run without a change makes no new revision', (t) => {
  const [allowed] = skaffold.resourceSelector.allow
  t.is(allowed.groupKind, 'Service.serving.knative.dev')
  t.deepEqual(allowed.labels, ['.metadata.labels'])
})

test('the image that is shipped is the last one of the Dockerfile, and not the one for development', (t) => {
  const stages = read('Dockerfile').split(/^FROM /m)
  const last = stages.at(-1) ?? ''
  t.notRegex(last, / AS development/)
  for (const part of ['NODE_COMPILE_CACHE=/app/compile-cache', 'COPY --from=build /app/ /app/'])
    t.true(last.includes(part), part)
})
