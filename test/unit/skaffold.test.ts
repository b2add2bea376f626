/** skaffold.yaml, held against Skaffold's own JSON Schema, and what it names. Skaffold itself does not run here. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import test from 'ava'
import * as v from 'valibot'
import { parse, parseAllDocuments } from 'yaml'
import { image } from '../../generate/services.ts'
import { buildArguments } from '../../image/skaffold-build.ts'

const root = join(import.meta.dirname, '../..')
const schemaFile = join(root, '../shared/crds/skaffold/v4beta14.json')
const document: unknown = parse(readFileSync(join(root, 'skaffold.yaml'), 'utf8'))

const Paths = v.object({ kustomize: v.object({ paths: v.array(v.string()) }) })
const Forward = v.array(v.object({ resourceName: v.string(), namespace: v.string() }))
const Skaffold = v.object({
  apiVersion: v.literal('skaffold/v4beta14'),
  build: v.object({
    artifacts: v.tuple([
      v.object({ image: v.string(), context: v.string(), docker: v.object({ dockerfile: v.string() }) }),
    ]),
  }),
  manifests: Paths,
  profiles: v.array(
    v.object({ name: v.string(), manifests: v.optional(Paths), portForward: v.optional(Forward) }),
  ),
  resourceSelector: v.object({
    allow: v.tuple([v.object({ groupKind: v.string(), labels: v.array(v.string()) })]),
    deny: v.optional(v.never()),
  }),
})

test("skaffold.yaml keeps to Skaffold's schema, and a mistake in it would be seen", (t) => {
  if (!existsSync(schemaFile)) {
    t.log('skipped: the schema of Skaffold is not beside this checkout (../shared/crds/skaffold)')
    return t.pass()
  }
  // It has keywords for an editor, which are not those of JSON Schema.
  const ajv = new Ajv({ strict: false, allErrors: true })
  const fits = ajv.compile(JSON.parse(readFileSync(schemaFile, 'utf8')))
  t.true(fits(document), JSON.stringify(fits.errors))
  const skaffold = v.parse(v.looseObject({ build: v.looseObject({}) }), document)
  t.false(fits({ ...skaffold, build: { ...skaffold.build, artefacts: [] } }))
  t.false(fits({ ...skaffold, apiVersion: 'skaffold/v4beta14', resourceSelector: { allow: 'all' } }))
})

test('what skaffold.yaml names is there', (t) => {
  const { build, manifests, profiles } = v.parse(Skaffold, document)
  const [artifact] = build.artifacts
  t.is(artifact.image, image, 'the image of the manifests is the one that is built')
  t.true(existsSync(join(root, artifact.context, artifact.docker.dockerfile)))
  for (const { kustomize } of [manifests, ...profiles.flatMap((one) => one.manifests ?? [])])
    for (const path of kustomize.paths) t.true(existsSync(join(root, path, 'kustomization.yaml')), path)
  const plain = parseAllDocuments(readFileSync(join(root, 'knative/plain/300-deployments.yaml'), 'utf8'))
  const services = plain.map((one) => one.toJS()).filter((one) => one.kind === 'Service')
  const [forward] = profiles.find(({ name }) => name === 'plain')?.portForward ?? []
  t.true(
    services.some(
      ({ metadata }) => metadata.name === forward?.resourceName && metadata.namespace === forward?.namespace,
    ),
  )
})

test('a run without a change makes no new revision', (t) => {
  const { resourceSelector } = v.parse(Skaffold, document)
  const [allowed] = resourceSelector.allow
  t.is(allowed.groupKind, 'Service.serving.knative.dev')
  t.deepEqual(allowed.labels, ['.metadata.labels'])
})

test('the image is built with what the artifact says, and a setting that nobody would pass on is refused', (t) => {
  t.deepEqual(buildArguments(document), ['--file', 'Dockerfile', '.'])
  const artifact = { image: 'a', context: 'b', docker: { dockerfile: 'C' } }
  const built = (docker: object) =>
    buildArguments({ build: { artifacts: [{ ...artifact, docker: { ...artifact.docker, ...docker } }] } })
  t.deepEqual(built({ target: 't', buildArgs: { X: 'y' } }), [
    ...['--file', 'b/C', '--target', 't'],
    ...['--build-arg', 'X=y', 'b'],
  ])
  t.throws(() => built({ squash: true }), { message: /squash/ })
})
