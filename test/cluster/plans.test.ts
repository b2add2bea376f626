/**
 * Everything that the broker may ever ask of KubeDB, held against the CRDs: every plan of the shipped catalog and
 * of the services that can be added to it, every parameter at its bounds, every change that the planner finds a way for. The CRDs are the sandbox's own, or those that
 * KUBEDB_CRDS names. No operator and no webhook is there: what KubeDB itself would refuse is others' to test.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import type { ControlPlane } from '../../sandbox/control-plane/control-plane.ts'
import { ask, granted } from '../../sandbox/control-plane/request.ts'
import { startControlPlaneWithKinds } from '../../sandbox/control-plane/with-kinds.ts'
import type { Draft } from '../../shared/kubedb/cluster/cluster.ts'
import type { Database } from '../../shared/kubedb/databases/database.ts'
import { draftDatabase } from '../../shared/kubedb/instances/database-draft.ts'
import type { Target } from '../../shared/kubedb/records/instance-record.ts'
import {
  changeOf,
  once,
  parametersOf,
  recordOf,
  targetFor,
  targetOrRefusal,
  withClusterOffers,
  writtenBy,
} from '../support/plan-walk.ts'
import { allPlans, type Shipped } from '../support/shipped-catalog.ts'

const plans = allPlans().map(withClusterOffers)
/** Requests at once: strict validation against KubeDB's own CRDs is work, and a busy machine has a limit per request. */
const width = 8

let folder: string
let plane: ControlPlane

test.before(async (t) => {
  folder = await mkdtemp(join(tmpdir(), 'plans-'))
  plane = await startControlPlaneWithKinds({ directory: folder, progress: (line) => t.log(line) })
})

test.after.always(async () => {
  await plane?.stop()
  await rm(folder, { recursive: true, force: true })
})

const collection = ({ apiVersion, plural }: Pick<Database, 'apiVersion' | 'plural'>): string =>
  `/apis/${apiVersion}/namespaces/default/${plural}`
const opsCollection = ({ opsPlural }: Database): string =>
  collection({ apiVersion: 'ops.kubedb.com/v1alpha1', plural: opsPlural })
const tryOut = '?dryRun=All&fieldValidation=Strict'

/** Asks the API server about all of them, some at a time; each answer that is no consent fails the test. */
async function allTaken<T>(
  t: ExecutionContext,
  drafts: readonly T[],
  send: (draft: T) => ReturnType<typeof ask>,
): Promise<void> {
  const left = [...drafts]
  const worker = async () => {
    for (let draft = left.pop(); draft !== undefined; draft = left.pop()) {
      const { status, body } = await send(draft)
      if (status >= 300) t.fail(`${status} ${body}\nto ${JSON.stringify(draft)}`)
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/** Every instance of the plan that can be made, by default first. */
function targetsOf(shipped: Shipped): Target[] {
  const found = parametersOf(shipped).flatMap((parameters) =>
    (['cluster', 'external'] as const).flatMap((addresses) => {
      // What a plan with bounds of its own offers can be had, all of it; a custom plan's parts may not go together, and
      // clients outside cannot follow a cluster of Redis, nor one of Kafka.
      const { spec, parameters: bounds } = shipped.plan
      const outside = addresses === 'external' && (spec.mode === 'Cluster' || shipped.kind.kind === 'Kafka')
      if (!bounds.spec && !outside) return [targetFor(shipped, parameters, addresses)]
      const target = targetOrRefusal(shipped, parameters, addresses)
      return target ? [target] : []
    }),
  )
  return once([targetFor(shipped, {}), ...found])
}

const Created = v.object({ metadata: v.object({ uid: v.string() }) })

for (const shipped of plans) {
  const { plan, kind } = shipped
  const sameService = plans.filter((other) => other.plan.serviceId === plan.serviceId)

  if (plan.parameters.spec) {
    test.serial(`${plan.serviceName} ${plan.name}: a raw spec makes what the kind can be`, (t) => {
      const raw = parametersOf(shipped).filter(({ spec }) => spec !== undefined)
      t.true(raw.length > 0)
      for (const parameters of raw.slice(0, -2)) t.notThrows(() => targetFor(shipped, parameters))
    })
  }

  test.serial(
    `${plan.serviceName} ${plan.name}: the API server takes every instance and every change of it`,
    async (t) => {
      t.timeout(300_000)
      const targets = targetsOf(shipped)
      const drafts = once(targets.map((target) => draftDatabase(kind, recordOf(shipped, target))))
      await allTaken(t, drafts, (draft) => ask(plane, 'POST', `${collection(kind)}${tryOut}`, draft))

      const [had] = targets
      if (!had) return t.fail('no instance can be made')
      const record = recordOf(shipped, had)
      const draft = draftDatabase(kind, record)
      const own = { ...draft, metadata: { ...draft.metadata, name: `osb-${plan.id}` } }
      const made = await ask(plane, 'POST', `${collection(kind)}?fieldValidation=Strict`, own)
      const { uid } = granted(Created, 'making the database', made).metadata

      const opsRequests: Draft[] = []
      const patches: object[] = []
      const changes = [
        ...targets.flatMap((target) => [
          [had, target],
          [target, had],
        ]),
        ...sameService.flatMap((other) =>
          targets.flatMap((from) => {
            const to = targetOrRefusal(other, {}, 'cluster', String(from.resolved.spec.version))
            return to ? [[from, to]] : []
          }),
        ),
      ]
      for (const [from, to] of changes) {
        if (!from || !to) continue
        const planned = changeOf(kind, from.resolved, to.resolved)
        if (planned.kind === 'impossible') t.regex(planned.reason, /^[a-zA-Z.]+.*: ?.+|cannot be changed/)
        const written = writtenBy(kind, record, uid, planned)
        opsRequests.push(...written.opsRequests)
        patches.push(...written.patches)
      }
      t.true(opsRequests.length > 0)
      await allTaken(t, once(opsRequests), (request) =>
        ask(plane, 'POST', `${opsCollection(kind)}${tryOut}`, request),
      )
      await allTaken(t, once(patches), (patch) =>
        ask(plane, 'PATCH', `${collection(kind)}/osb-${plan.id}${tryOut}`, patch),
      )
      t.log(
        `${drafts.length} instances, ${once(opsRequests).length} OpsRequests, ${once(patches).length} patches`,
      )
    },
  )
}
