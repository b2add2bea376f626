/**
 * What `skaffold run` and `skaffold delete` do, command by command as skaffold.yaml has it: kustomize, the image and
 * the labels that Skaffold puts in, kubectl. Skaffold itself does not run here; kubectl and the API server are real.
 * Its build is run by image/build-offline.sh, with the arguments of image/skaffold-build.ts.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import * as v from 'valibot'
import { parse, parseAllDocuments } from 'yaml'
import { routes } from '../../shared/routes.ts'
import { isObject, JsonObject } from '../../shared/values/json.ts'
import { at, textAt, useCluster } from '../support/cluster.ts'
import { installDefinitions, noDefinitions } from '../support/definitions.ts'
import { kubectlFile, type Program, programAt } from '../support/go-programs.ts'

const root = join(import.meta.dirname, '../..')
const cluster = useCluster(test)

const Flags = v.strictObject({
  global: v.optional(v.array(v.string()), []),
  apply: v.optional(v.array(v.string()), []),
  delete: v.optional(v.array(v.string()), []),
})
const Manifests = v.strictObject({
  kustomize: v.strictObject({
    paths: v.array(v.string()),
    buildArgs: v.optional(v.array(v.string()), []),
  }),
})
const Forward = v.array(
  v.strictObject({
    resourceType: v.literal('service'),
    resourceName: v.string(),
    namespace: v.string(),
    port: v.number(),
    localPort: v.number(),
  }),
)
/** Strict where commands come from it: what is not known here would not be run. */
const Skaffold = v.object({
  build: v.object({ artifacts: v.tuple([v.object({ image: v.string() })]) }),
  manifests: Manifests,
  deploy: v.strictObject({ kubectl: v.strictObject({ flags: v.optional(Flags, {}) }) }),
  resourceSelector: v.strictObject({
    allow: v.tuple([
      v.strictObject({
        groupKind: v.literal('Service.serving.knative.dev'),
        image: v.tuple([v.literal('.*')]),
        labels: v.tuple([v.literal('.metadata.labels')]),
      }),
    ]),
  }),
  portForward: Forward,
  profiles: v.array(
    v.strictObject({
      name: v.string(),
      manifests: v.optional(Manifests),
      portForward: v.optional(Forward),
      patches: v.optional(
        v.array(
          v.strictObject({ op: v.literal('add'), path: v.literal('/deploy/kubectl/flags'), value: Flags }),
        ),
        [],
      ),
    }),
  ),
})

const skaffold = v.parse(Skaffold, parse(readFileSync(join(root, 'skaffold.yaml'), 'utf8')))
let kubectl: Program

test.before('kubectl', async (t) => {
  // It is built at its first use.
  t.timeout(20 * 60_000)
  kubectl = programAt(await kubectlFile(console.error), { KUBECONFIG: cluster.kubeconfigFile })
  await installDefinitions(cluster)
})

/** @returns skaffold.yaml with a profile over it, as `-p` has it */
function withProfile(name?: string): Pick<v.InferOutput<typeof Skaffold>, 'manifests' | 'portForward'> & {
  flags: v.InferOutput<typeof Flags>
} {
  const profile = skaffold.profiles.find((one) => one.name === name)
  if (name !== undefined && profile === undefined) throw new Error(`there is no profile ${name}`)
  return {
    manifests: profile?.manifests ?? skaffold.manifests,
    portForward: profile?.portForward ?? skaffold.portForward,
    flags: profile?.patches[0]?.value ?? skaffold.deploy.kubectl.flags,
  }
}

async function run(args: readonly string[], input?: string): Promise<string> {
  const { code, out, error } = await kubectl(args, input)
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${error}`)
  return out
}

/** @returns the manifests of a profile, with the built image and the labels of a run in them */
async function rendered(
  { manifests }: ReturnType<typeof withProfile>,
  tag: string,
  id: string,
): Promise<JsonObject[]> {
  const { paths, buildArgs } = manifests.kustomize
  const texts = await Promise.all(paths.map((path) => run(['kustomize', ...buildArgs, join(root, path)])))
  return texts
    .flatMap((text) => parseAllDocuments(text).map((document) => v.parse(JsonObject, document.toJS())))
    .map((object) => labelled(withImage(object, tag), id))
}

/** Skaffold looks for the image of its artifact in what runs containers. */
function withImage(object: JsonObject, tag: string): JsonObject {
  const { image } = skaffold.build.artifacts[0]
  return v.parse(
    JsonObject,
    JSON.parse(JSON.stringify(object), (key, value) => (key === 'image' && value === image ? tag : value)),
  )
}

/** On objects of the kind that `resourceSelector` allows, in their own labels alone; on others wherever labels are. */
function labelled(object: JsonObject, id: string): JsonObject {
  const knative = object.apiVersion === 'serving.knative.dev/v1' && object.kind === 'Service'
  const mark = (metadata: unknown) => {
    if (!isObject(metadata)) return metadata
    return {
      ...metadata,
      labels: { ...(isObject(metadata.labels) && metadata.labels), 'skaffold.dev/run-id': id },
    }
  }
  const marked = { ...object, metadata: mark(object.metadata) }
  const template = at(object, 'spec', 'template')
  if (knative || !isObject(template) || !isObject(object.spec)) return v.parse(JsonObject, marked)
  const spec = { ...object.spec, template: { ...template, metadata: mark(template.metadata) } }
  return v.parse(JsonObject, { ...marked, spec })
}

const input = (objects: readonly JsonObject[]) => objects.map((one) => JSON.stringify(one)).join('\n---\n')

async function deploy(profile: ReturnType<typeof withProfile>, tag: string, id: string): Promise<string> {
  const { flags } = profile
  const objects = await rendered(profile, tag, id)
  return run([...flags.global, 'apply', ...flags.apply, '-f', '-'], input(objects))
}

async function remove(profile: ReturnType<typeof withProfile>, tag: string): Promise<void> {
  const { flags } = profile
  const objects = await rendered(profile, tag, 'any')
  const args = [...flags.global, 'delete', ...flags.delete, '--ignore-not-found=true', '-f', '-']
  await run(args, input(objects.toReversed()))
}

/** @returns the name of the image that was built by what skaffold.yaml says, where one was */
function builtImage(log: (line: string) => void): string {
  const archive = process.env.IMAGE_ARCHIVE
  if (archive === undefined) {
    log('the build was not run here: IMAGE_ARCHIVE names none (image/build-offline.sh writes one, as root)')
    return 'dev.local/kubedb-service-broker:none'
  }
  const manifest = JSON.parse(execFileSync('tar', ['-xOf', archive, 'manifest.json'], { encoding: 'utf8' }))
  return textAt(manifest, 0, 'RepoTags', 0)
}

const functions = (namespace: string, name: string) =>
  `/apis/serving.knative.dev/v1/namespaces/${namespace}/services/${name}`

test.serial('skaffold run: deployed, unchanged by a second run, and taken away', async (t) => {
  if (noDefinitions !== undefined) {
    t.log(`skipped: ${noDefinitions}`)
    return t.pass()
  }
  const tag = builtImage((line) => t.log(line))
  const plain = withProfile()
  t.teardown(() => remove(plain, tag))
  t.regex(await deploy(plain, tag, 'one'), /osb-bind created/)
  const states = () =>
    Promise.all(
      [...routes.map((route) => `osb-${route.function}`), 'osb-edge-router'].map(async (name) => {
        const { status, body } = await cluster.admin('GET', functions('kubedb-service-broker', name))
        t.is(status, 200, name)
        t.is(at(body, 'spec', 'template', 'spec', 'containers', 0, 'image'), tag)
        return {
          generation: at(body, 'metadata', 'generation'),
          run: at(body, 'metadata', 'labels', 'skaffold.dev/run-id'),
        }
      }),
    )
  t.true((await states()).every(({ generation, run: id }) => generation === 1 && id === 'one'))
  // A generation would be a new revision.
  await deploy(plain, tag, 'two')
  t.true((await states()).every(({ generation, run: id }) => generation === 1 && id === 'two'))
  const dev = withProfile('dev')
  t.deepEqual(dev.flags.apply, ['--server-side', '--force-conflicts'])
  t.regex(await deploy(dev, tag, 'three'), /osb-bind serverside-applied/)
  t.true((await states()).every(({ generation, run: id }) => generation === 1 && id === 'three'))

  await remove(dev, tag)
  for (const path of [
    functions('kubedb-service-broker', 'osb-bind'),
    '/api/v1/namespaces/kubedb-service-broker',
  ])
    t.is((await cluster.admin('GET', path)).status, 404, path)
})

test.serial('skaffold run -p plain: the Service that it forwards is there', async (t) => {
  const tag = builtImage((line) => t.log(line))
  const profile = withProfile('plain')
  t.teardown(() => remove(profile, tag))
  t.regex(await deploy(profile, tag, 'one'), /deployment\.apps\/osb-bind created/)
  const [forward] = profile.portForward
  const path = `/api/v1/namespaces/${forward?.namespace}/services/${forward?.resourceName}`
  const { status, body } = await cluster.admin('GET', path)
  t.is(status, 200)
  t.is(at(body, 'spec', 'ports', 0, 'port'), forward?.port)
  const deployment = await cluster.admin(
    'GET',
    `/apis/apps/v1/namespaces/${forward?.namespace}/deployments/osb-bind`,
  )
  t.is(at(deployment.body, 'spec', 'template', 'spec', 'containers', 0, 'image'), tag)
})
