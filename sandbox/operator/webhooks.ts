// A stand-in for KubeDB's admission webhooks, for development and tests.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { equal } from '../../shared/json.ts'
import { type AdmissionRequest, AdmissionReview, Refusal, statusOf } from './admission.ts'
import { withoutCondition } from './conditions.ts'
import { type Kube, KubeError, type Resource } from './kube.ts'
import { validateOpsRequest, validateOpsRequestChange } from './ops-validation.ts'
import { phaseFromConditions } from './phase.ts'
import { withDefaults } from './postgres-defaults.ts'
import { validatePostgres, validatePostgresChange, validatePostgresDeletion } from './postgres-validation.ts'
import { Postgres, PostgresOpsRequest, PostgresVersion, resources, Unscoped } from './resources.ts'
import { readSwitches } from './switches.ts'

export interface WebhookOptions {
  readonly kube: Kube
  /** A certificate for 127.0.0.1 and its key, and the certificates that make it trusted; all PEM files. */
  readonly certificateFile: string
  readonly keyFile: string
  readonly caFile: string
  readonly log: (line: string) => void
}

/** A JSON patch, or nothing to change. Refuses by throwing {@link Refusal}. */
type Webhook = (kube: Kube, request: AdmissionRequest) => Promise<object[] | undefined>

const webhooks: Readonly<Record<string, Webhook>> = {
  '/mutate-kubedb-com-v1-postgres': defaultPostgres,
  '/validate-kubedb-com-v1-postgres': admitPostgres,
  '/validate-ops-kubedb-com-v1alpha1-postgresopsrequest': admitOpsRequest,
}

/** Serves the webhooks on a loopback port, registers them, and waits until the API server asks them. */
export async function startWebhooks(options: WebhookOptions): Promise<{ stop(): Promise<void> }> {
  const { kube, log } = options
  const [cert, key, ca] = await Promise.all(
    [options.certificateFile, options.keyFile, options.caFile].map((file) => readFile(file)),
  )
  const server = createServer({ cert, key }, (request, response) => {
    answer(kube, request).then(
      (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      (error: unknown) => refuseToAnswer(response, error, log),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = v.parse(v.object({ port: v.number() }), server.address())
  const stop = async () => {
    server.close()
    server.closeAllConnections()
  }
  try {
    await register(kube, `https://127.0.0.1:${port}`, (ca ?? Buffer.of()).toString('base64'))
    await untilAsked(kube)
    return { stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Not an AdmissionReview, or the API server gave no answer to a question of ours: it will ignore us. */
function refuseToAnswer(response: ServerResponse, error: unknown, log: (line: string) => void): void {
  const message = error instanceof Error ? error.message : String(error)
  log(`webhook: ${message}`)
  response.writeHead(500, { 'content-type': 'text/plain' }).end(message)
}

async function answer(kube: Kube, request: IncomingMessage): Promise<object> {
  const webhook = webhooks[new URL(request.url ?? '/', 'https://localhost').pathname]
  if (!webhook) throw new Error(`no webhook at ${request.url}`)
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(v.parse(v.instance(Buffer), chunk))
  const review = v.parse(AdmissionReview, JSON.parse(Buffer.concat(chunks).toString('utf8')))
  const response = await admit(kube, webhook, review.request)
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: review.request.uid, ...response },
  }
}

async function admit(kube: Kube, webhook: Webhook, request: AdmissionRequest): Promise<object> {
  try {
    const patch = await webhook(kube, request)
    if (patch === undefined) return { allowed: true }
    const encoded = Buffer.from(JSON.stringify(patch)).toString('base64')
    return { allowed: true, patchType: 'JSONPatch', patch: encoded }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { allowed: false, status: statusOf(error) }
  }
}

async function findVersion(kube: Kube, name: string): Promise<PostgresVersion> {
  const version = await kube.get(PostgresVersion, resources.postgresVersions, { name })
  if (version) return version
  throw new Refusal(
    `failed to get PostgresVersion: ${name}: PostgresVersion.catalog.kubedb.com "${name}" not found`,
  )
}

async function defaultPostgres(kube: Kube, request: AdmissionRequest): Promise<object[] | undefined> {
  const db = v.parse(Postgres, withPlace(request))
  if (db.metadata.deletionTimestamp !== undefined) return undefined
  if (db.spec.version === '') throw new Refusal("'spec.version' is missing")
  const spec = withDefaults(db, await findVersion(kube, db.spec.version))
  return equal(spec, db.spec) ? undefined : [{ op: 'replace', path: '/spec', value: spec }]
}

async function admitPostgres(kube: Kube, request: AdmissionRequest): Promise<undefined> {
  if (request.operation === 'DELETE') {
    validatePostgresDeletion(v.parse(Postgres, request.oldObject))
    return
  }
  const db = v.parse(Postgres, withPlace(request))
  if (db.metadata.deletionTimestamp !== undefined) return
  if (request.operation === 'CREATE') {
    const { refuse } = await readSwitches(kube, request.namespace)
    if (refuse !== undefined) throw new Refusal(refuse)
  } else {
    validatePostgresChange(db, v.parse(Postgres, request.oldObject))
  }
  const name = db.spec.storage?.storageClassName
  const storageClassExists =
    name === undefined || (await kube.get(Unscoped, resources.storageClasses, { name })) !== undefined
  validatePostgres(db, { version: await findVersion(kube, db.spec.version), storageClassExists })
}

async function admitOpsRequest(kube: Kube, request: AdmissionRequest): Promise<undefined> {
  if (request.operation === 'DELETE') return
  const ops = v.parse(PostgresOpsRequest, withPlace(request))
  if (request.operation === 'CREATE') {
    await validateOpsRequest(kube, ops)
    return
  }
  const old = v.parse(PostgresOpsRequest, request.oldObject)
  validateOpsRequestChange(ops, old)
  await validateOpsRequest(kube, ops)
  if (isCompleted(ops) && !isCompleted(old)) await resumeDatabase(kube, ops)
}

function isCompleted({ status }: PostgresOpsRequest): boolean {
  return status.phase === 'Successful' || status.phase === 'Failed'
}

/** It is KubeDB's webhook, not its operator, that takes the condition Paused off. */
async function resumeDatabase(kube: Kube, ops: PostgresOpsRequest): Promise<void> {
  const place = { namespace: ops.metadata.namespace, name: ops.spec.databaseRef.name }
  const db = await kube.get(Postgres, resources.postgreses, place)
  if (!db) return
  const conditions = withoutCondition(db.status.conditions, 'Paused')
  const status = { conditions, phase: phaseFromConditions(conditions) }
  await kube.patch(Postgres, resources.postgreses, place, { status }, 'status')
}

/** An object of a POST has no namespace yet, and no name where one is to be generated. */
function withPlace({ object, namespace, name }: AdmissionRequest): unknown {
  const { metadata, ...rest } = v.parse(v.looseObject({ metadata: v.looseObject({}) }), object)
  return { ...rest, metadata: { name, namespace, ...metadata } }
}

async function register(kube: Kube, url: string, caBundle: string): Promise<void> {
  const hook = (name: string, path: string, rule: object) => ({
    name,
    clientConfig: { url: `${url}${path}`, caBundle },
    rules: [rule],
    admissionReviewVersions: ['v1'],
    failurePolicy: 'Ignore',
    matchPolicy: 'Equivalent',
    sideEffects: 'None',
  })
  const postgreses = { apiGroups: ['kubedb.com'], apiVersions: ['v1'], resources: ['postgreses'] }
  await put(kube, resources.mutatingWebhooks, 'MutatingWebhookConfiguration', 'mutators.kubedb.com', [
    hook('postgreswebhook.mutators.kubedb.com', '/mutate-kubedb-com-v1-postgres', {
      ...postgreses,
      operations: ['CREATE', 'UPDATE'],
    }),
  ])
  await put(kube, resources.validatingWebhooks, 'ValidatingWebhookConfiguration', 'validators.kubedb.com', [
    hook('postgreswebhook.validators.kubedb.com', '/validate-kubedb-com-v1-postgres', {
      ...postgreses,
      operations: ['CREATE', 'UPDATE', 'DELETE'],
    }),
  ])
  await put(
    kube,
    resources.validatingWebhooks,
    'ValidatingWebhookConfiguration',
    'validators.ops.kubedb.com',
    [
      hook(
        'postgresopsrequestwebhook.validators.ops.kubedb.com',
        '/validate-ops-kubedb-com-v1alpha1-postgresopsrequest',
        {
          apiGroups: ['ops.kubedb.com'],
          apiVersions: ['*'],
          resources: ['postgresopsrequests', 'postgresopsrequests/status'],
          operations: ['CREATE', 'UPDATE', 'DELETE'],
        },
      ),
    ],
  )
}

async function put(
  kube: Kube,
  resource: Resource,
  kind: string,
  name: string,
  hooks: object[],
): Promise<void> {
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name },
    webhooks: hooks,
  }
  const created = await kube.create(resource, configuration)
  if (!created) await kube.patch(Unscoped, resource, { name }, configuration)
}

const patience = 20_000

/** A registration takes effect a moment after it was written: a probe that must be refused shows when. */
async function untilAsked(kube: Kube): Promise<void> {
  const probe = {
    apiVersion: 'kubedb.com/v1',
    kind: 'Postgres',
    metadata: { namespace: 'default', name: 'sandbox-probe' },
    spec: { version: '0.0.0-sandbox-probe' },
  }
  for (const until = Date.now() + patience; ; await sleep(50)) {
    try {
      await kube.tryCreate(resources.postgreses, probe)
    } catch (error) {
      if (!(error instanceof KubeError)) throw error
      if (error.message.includes('postgreswebhook.mutators.kubedb.com')) return
      if (!error.isPassing) throw error
    }
    if (Date.now() > until) throw new Error('the API server does not ask the admission webhooks: see its log')
  }
}
