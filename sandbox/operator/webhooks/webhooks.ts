// A stand-in for KubeDB's admission webhooks, for development and tests: it fills in and refuses, by the rules of each kind.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { equal } from '../../../shared/values/json.ts'
import {
  type AdmissionRequest,
  AdmissionReview,
  NotFound,
  Panic,
  Refusal,
  statusOf,
} from '../cluster/admission.ts'
import { withoutCondition } from '../cluster/conditions.ts'
import { type Kube, KubeError, type Resource } from '../cluster/kube.ts'
import { phaseFromConditions } from '../cluster/phase.ts'
import { Database, OpsRequest, resources, Unscoped, Version } from '../cluster/resources.ts'
import { readSwitches } from '../cluster/switches.ts'
import { type Kind, resourcesOf, versionKind } from '../kinds/parts/kind.ts'
import { validateChange } from './changes.ts'
import { validateOpsRequest, validateOpsRequestChange } from './ops-validation.ts'

export interface WebhookOptions {
  readonly kube: Kube
  /** The kinds to judge; at least one. */
  readonly kinds: readonly Kind[]
  /** A certificate for 127.0.0.1 and its key, and the certificates that make it trusted; all PEM files. */
  readonly certificateFile: string
  readonly keyFile: string
  readonly caFile: string
  readonly log: (line: string) => void
}

/** A JSON patch, or nothing to change. Refuses by throwing {@link Refusal}. */
type Webhook = (kube: Kube, request: AdmissionRequest) => Promise<object[] | undefined>

/** What is served, by path. */
function webhooksOf(kinds: readonly Kind[]): ReadonlyMap<string, Webhook> {
  return new Map(
    kinds.flatMap((kind) => {
      const paths = pathsOf(kind)
      return [
        [paths.mutate, (kube, request) => setDefaults(kube, kind, request)],
        [paths.validate, (kube, request) => admitDatabase(kube, kind, request)],
        [paths.validateOps, (kube, request) => admitOpsRequest(kube, kind, request)],
      ] satisfies [string, Webhook][]
    }),
  )
}

function pathsOf({ kind, apiVersion }: Kind) {
  const singular = kind.toLowerCase()
  const api = apiVersion.replace(/[./]/g, '-')
  return {
    mutate: `/mutate-${api}-${singular}`,
    validate: `/validate-${api}-${singular}`,
    validateOps: `/validate-ops-kubedb-com-v1alpha1-${singular}opsrequest`,
  }
}

/** Serves the webhooks on a loopback port, registers them, and waits until the API server asks them. */
export async function startWebhooks(options: WebhookOptions): Promise<{ stop(): Promise<void> }> {
  const { kube, kinds, log } = options
  const webhooks = webhooksOf(kinds)
  const [cert, key, ca] = await Promise.all(
    [options.certificateFile, options.keyFile, options.caFile].map((file) => readFile(file)),
  )
  const server = createServer({ cert, key }, (request, response) => {
    answer(kube, webhooks, request).then(
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
    await register(kube, kinds, `https://127.0.0.1:${port}`, (ca ?? Buffer.of()).toString('base64'))
    await untilAsked(kube, kinds)
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

async function answer(
  kube: Kube,
  webhooks: ReadonlyMap<string, Webhook>,
  request: IncomingMessage,
): Promise<object> {
  const webhook = webhooks.get(new URL(request.url ?? '/', 'https://localhost').pathname)
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

async function findVersion(kube: Kube, kind: Kind, name: string): Promise<Version> {
  const version = await kube.get(Version, resourcesOf(kind).versions, { name })
  if (version) return version
  throw new NotFound(`${versionKind(kind)}.catalog.kubedb.com`, name)
}

async function setDefaults(kube: Kube, kind: Kind, request: AdmissionRequest): Promise<object[] | undefined> {
  const db = v.parse(Database, withPlace(request))
  if (db.metadata.deletionTimestamp !== undefined) return undefined
  if (db.spec.version === '') throw new Refusal("'spec.version' is missing")
  const spec = kind.admission.defaults(db, await findVersion(kube, kind, db.spec.version))
  return equal(spec, db.spec) ? undefined : [{ op: 'replace', path: '/spec', value: spec }]
}

async function admitDatabase(kube: Kube, kind: Kind, request: AdmissionRequest): Promise<undefined> {
  const { admission } = kind
  if (request.operation === 'DELETE') {
    const { metadata, spec } = v.parse(Database, request.oldObject)
    if (spec.deletionPolicy !== 'DoNotTerminate') return
    const said = admission.deletionRefusal(metadata.namespace, metadata.name)
    throw typeof said === 'string' ? new Refusal(said) : said
  }
  const db = v.parse(Database, withPlace(request))
  if (db.metadata.deletionTimestamp !== undefined) return
  let old: Database | undefined
  if (request.operation === 'CREATE') {
    const { refuse, panic } = await readSwitches(kube, request.namespace)
    if (refuse !== undefined) throw new Refusal(refuse)
    if (panic.includes('database')) throw new Panic()
  } else {
    old = v.parse(Database, request.oldObject)
    validateChange(db, old, admission.fixed)
  }
  const version = await findVersion(kube, kind, db.spec.version)
  await admission.validate(db, { kube, version }, old)
}

async function admitOpsRequest(kube: Kube, kind: Kind, request: AdmissionRequest): Promise<undefined> {
  if (request.operation === 'DELETE') return
  const ops = v.parse(OpsRequest, withPlace(request))
  if (request.operation === 'CREATE') {
    const { refuseOps, panic } = await readSwitches(kube, request.namespace)
    if (panic.includes(ops.spec.type)) throw new Panic()
    if (refuseOps.includes(ops.spec.type))
      throw new Refusal(`requests of type ${ops.spec.type} are refused by the switch refuse-ops`)
    await validateOpsRequest(kube, kind, ops)
    return
  }
  const old = v.parse(OpsRequest, request.oldObject)
  validateOpsRequestChange(ops, old)
  await validateOpsRequest(kube, kind, ops)
  if (isCompleted(ops) && !isCompleted(old)) await resumeDatabase(kube, kind, ops)
}

function isCompleted({ status }: OpsRequest): boolean {
  return status.phase === 'Successful' || status.phase === 'Failed'
}

/** It is KubeDB's webhook, not its operator, that takes the condition Paused off. */
async function resumeDatabase(kube: Kube, kind: Kind, ops: OpsRequest): Promise<void> {
  const place = { namespace: ops.metadata.namespace, name: ops.spec.databaseRef.name }
  const { databases } = resourcesOf(kind)
  const db = await kube.get(Database, databases, place)
  if (!db) return
  const conditions = withoutCondition(db.status.conditions, 'Paused')
  const status = { conditions, phase: phaseFromConditions(conditions) }
  await kube.patch(Database, databases, place, { status }, 'status')
}

/** An object of a POST has no namespace yet, and no name where one is to be generated. */
function withPlace({ object, namespace, name }: AdmissionRequest): unknown {
  const { metadata, ...rest } = v.parse(v.looseObject({ metadata: v.looseObject({}) }), object)
  return { ...rest, metadata: { name, namespace, ...metadata } }
}

/** A namespace with this label, of any value, is one whose objects no webhook sees: a cluster whose KubeDB is away. */
export const withoutWebhooks = 'sandbox.kubedb.com/without-webhooks'

async function register(kube: Kube, kinds: readonly Kind[], url: string, caBundle: string): Promise<void> {
  const hook = (name: string, path: string, rule: object) => ({
    name,
    clientConfig: { url: `${url}${path}`, caBundle },
    rules: [rule],
    namespaceSelector: { matchExpressions: [{ key: withoutWebhooks, operator: 'DoesNotExist' }] },
    admissionReviewVersions: ['v1'],
    failurePolicy: 'Ignore',
    matchPolicy: 'Equivalent',
    sideEffects: 'None',
  })
  const databases = ({ apiVersion, plural }: Kind, operations: string[]) => {
    const [group, version] = apiVersion.split('/')
    return { apiGroups: [group], apiVersions: [version], resources: [plural], operations }
  }
  const mutators = kinds.map((kind) =>
    hook(mutatorName(kind), pathsOf(kind).mutate, databases(kind, ['CREATE', 'UPDATE'])),
  )
  const validators = kinds.map((kind) =>
    hook(
      `${kind.kind.toLowerCase()}webhook.validators.kubedb.com`,
      pathsOf(kind).validate,
      databases(kind, ['CREATE', 'UPDATE', 'DELETE']),
    ),
  )
  const opsValidators = kinds.map((kind) => {
    const { plural } = resourcesOf(kind).opsRequests
    return hook(
      `${kind.kind.toLowerCase()}opsrequestwebhook.validators.ops.kubedb.com`,
      pathsOf(kind).validateOps,
      {
        apiGroups: ['ops.kubedb.com'],
        apiVersions: ['*'],
        resources: [plural, `${plural}/status`],
        operations: ['CREATE', 'UPDATE', 'DELETE'],
      },
    )
  })
  const { mutatingWebhooks, validatingWebhooks } = resources
  const validating = 'ValidatingWebhookConfiguration'
  await put(kube, mutatingWebhooks, 'MutatingWebhookConfiguration', 'mutators.kubedb.com', mutators)
  await put(kube, validatingWebhooks, validating, 'validators.kubedb.com', validators)
  await put(kube, validatingWebhooks, validating, 'validators.ops.kubedb.com', opsValidators)
}

function mutatorName({ kind }: Kind): string {
  return `${kind.toLowerCase()}webhook.mutators.kubedb.com`
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

/** A registration takes effect a moment after it was written: probes that must be refused show when. */
async function untilAsked(kube: Kube, kinds: readonly Kind[]): Promise<void> {
  const until = Date.now() + patience
  for (const kind of kinds)
    while (!(await isAsked(kube, kind))) {
      if (Date.now() > until)
        throw new Error('the API server does not ask the admission webhooks: see its log')
      await sleep(50)
    }
}

async function isAsked(kube: Kube, kind: Kind): Promise<boolean> {
  const probe = {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { namespace: 'default', name: 'sandbox-probe' },
    spec: { version: '0.0.0-sandbox-probe' },
  }
  try {
    await kube.tryCreate(resourcesOf(kind).databases, probe)
    return false
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    if (error.message.includes(mutatorName(kind))) return true
    if (!error.isPassing) throw error
    return false
  }
}
