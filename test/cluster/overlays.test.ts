/** Overlays as people write them over the folders in knative/, rendered by kustomize: what arrives, and what stays. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import test from 'ava'
import * as v from 'valibot'
import { parseAllDocuments, stringify } from 'yaml'
import { routes } from '../../shared/routes.ts'
import { JsonObject } from '../../shared/values/json.ts'
import { at } from '../support/cluster.ts'
import { kubectlFile, type Program, programAt } from '../support/go-programs.ts'

const root = join(import.meta.dirname, '../..')
const broker = 'kubedb-service-broker'
let kubectl: Program
let folder: string

test.before('kubectl', async (t) => {
  // It is built at its first use.
  t.timeout(20 * 60_000)
  kubectl = programAt(await kubectlFile(console.error), {})
  folder = await mkdtemp(join(tmpdir(), 'overlays-'))
})

test.after.always(() => rm(folder, { recursive: true, force: true }))

async function rendered(base: string, overlay: object = {}): Promise<JsonObject[]> {
  const directory = await mkdtemp(join(folder, 'overlay-'))
  const resources = [relative(directory, join(root, 'knative', base))]
  const kind = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' }
  await writeFile(join(directory, 'kustomization.yaml'), stringify({ ...kind, resources, ...overlay }))
  const { code, out, error } = await kubectl(['kustomize', directory])
  if (code !== 0) throw new Error(error)
  return parseAllDocuments(out).map((document) => v.parse(JsonObject, document.toJS()))
}

const folders = [
  'overlays/gateway-api',
  'overlays/istio',
  'overlays/contour',
  'overlays/edge-router',
  'plain',
] as const

for (const base of folders) {
  const programs = routes.length + (base === 'plain' || base === 'overlays/edge-router' ? 1 : 0)

  test(`${base}: a changed variable is a changed template of everything that reads it`, async (t) => {
    /** By name, the template of what runs. */
    const templates = async (level: string) => {
      const literals = [`LOG_LEVEL=${level}`]
      const generator = [{ name: 'osb-configuration', namespace: broker, literals }]
      const objects = await rendered(base, { configMapGenerator: generator })
      const maps = objects.filter(({ data }) => at(data, 'LOG_LEVEL') === level)
      t.is(maps.length, 1)
      const running = objects.filter((object) => at(object, 'spec', 'template', 'spec', 'containers'))
      t.is(running.length, programs)
      for (const object of running) {
        const named = at(
          object,
          ...['spec', 'template', 'spec', 'containers', 0, 'envFrom', 0, 'configMapRef', 'name'],
        )
        t.is(named, at(maps[0], 'metadata', 'name'), String(at(object, 'metadata', 'name')))
      }
      return new Map(
        running.map((object) => [at(object, 'metadata', 'name'), at(object, 'spec', 'template')]),
      )
    }
    const before = await templates('warn')
    t.deepEqual(await templates('warn'), before)
    for (const [name, template] of await templates('error')) t.notDeepEqual(template, before.get(name))
  })

  test(`${base}: deleting what it renders takes no namespace, no Secret and no object of KubeDB's`, async (t) => {
    const objects = await rendered(base)
    t.true(objects.length > 50)
    const kept = objects.filter(
      ({ apiVersion, kind }) =>
        ['Namespace', 'Secret', 'PersistentVolumeClaim', 'CustomResourceDefinition'].includes(String(kind)) ||
        /kubedb|appscode/.test(String(apiVersion)),
    )
    t.deepEqual(
      kept.map(({ kind }) => kind),
      [],
    )
  })
}

test('without a ConfigMap of ones own the name is that of the docs, and none has to be there', async (t) => {
  const objects = await rendered('overlays/gateway-api')
  const services = objects.filter((object) => object.apiVersion === 'serving.knative.dev/v1')
  t.is(services.length, routes.length)
  for (const object of services)
    t.deepEqual(at(object, 'spec', 'template', 'spec', 'containers', 0, 'envFrom'), [
      { configMapRef: { name: 'osb-configuration', optional: true } },
    ])
})

test('the namespaces are applied by themselves, and every object of the broker is in one of them', async (t) => {
  const namespaces = await rendered('namespaces')
  t.deepEqual(
    namespaces.map((object) => [object.kind, at(object, 'metadata', 'name')]),
    [
      ['Namespace', 'databases'],
      ['Namespace', broker],
    ],
  )
  const names = namespaces.map((object) => at(object, 'metadata', 'name'))
  for (const base of folders)
    for (const object of await rendered(base)) {
      const namespace = at(object, 'metadata', 'namespace')
      // The grant is where Knative's local gateway is.
      if (namespace !== undefined && object.kind !== 'ReferenceGrant' && object.kind !== 'HTTPProxy')
        t.true(names.includes(namespace), `${object.kind} in ${String(namespace)}`)
    }
})
