/** The webhooks of the sandbox's stand-in take and refuse what KubeDB's own do, in their words. */
import test from 'ava'
import { turns } from '../../sandbox/machine/turns.ts'
import { KubeError } from '../../sandbox/operator/cluster/kube.ts'
import { resources } from '../../sandbox/operator/cluster/resources.ts'
import { kinds } from '../../sandbox/operator/kinds/kinds.ts'
import { type Kind, opsKind, resourcesOf } from '../../sandbox/operator/kinds/parts/kind.ts'
import { kindOf } from '../../shared/kubedb/databases/kinds.ts'
import { canonical, type JsonObject } from '../../shared/values/json.ts'
import { recordedDatabase } from '../support/plan-walk.ts'
import {
  type Answer,
  readRecord,
  readRefused,
  recordCommand,
  recordNamespace,
  withoutChance,
} from '../support/webhook-record.ts'
import { createNamespace, useSetting } from './operator-setting.ts'
import { refusedWrites } from './refused-writes.ts'

const setting = useSetting(test, [])
const width = 8

test.before('the classes of disks that the record knows', async () => {
  for (const name of ['standard', 'fast']) {
    const manifest = { metadata: { name }, provisioner: 'example.com/disk', allowVolumeExpansion: true }
    await setting.kube.create(resources.storageClasses, manifest)
  }
})

/** What a call was answered, as the record has it. */
async function answerOf(call: Promise<unknown>): Promise<Answer> {
  try {
    await call
    return { allowed: true }
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    return { allowed: false, code: error.status, message: error.message }
  }
}

const verdict = (answer: Answer) => (answer.allowed ? 'taken' : `${answer.code} ${answer.message}`)

for (const kind of kinds) {
  const record = readRecord(kind.kind)
  const { databases } = resourcesOf(kind)
  const { name } = recordedDatabase(kindOf(kind.kind))
  const database = (namespace: string, spec: JsonObject) => ({
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { name, namespace },
    spec,
  })

  test(`${kind.kind}: every draft is judged as KubeDB judges it`, async (t) => {
    t.timeout(300_000)
    const busy = turns(width)
    await Promise.all(
      Object.entries(record.databases).map(([title, { draft, answer }]) =>
        busy(async () => {
          const own = await answerOf(setting.kube.tryCreate(databases, database('default', draft)))
          t.is(verdict(own), verdict(answer), title)
        }),
      ),
    )
  })
}

const { writes } = readRefused()

test('every write that KubeDB refuses and tests know was asked about', (t) => {
  const known = refusedWrites().map(({ title, before, write }) => [
    title,
    { ...(before && { before }), write },
  ])
  const asked = Object.entries(writes).map(([title, { answer: _, ...asked }]) => [title, asked])
  t.deepEqual(Object.fromEntries(asked), Object.fromEntries(known), `ask again: ${recordCommand} --refused`)
})

/** A namespace for each database that is there before, and one for those that are refused. */
const namespaces = new Map<string, Promise<string>>()
function namespaceWith(kind: Kind, before: JsonObject | undefined): Promise<string> {
  const key = canonical([kind.kind, before ?? null])
  const known = namespaces.get(key)
  if (known) return known
  const made = createNamespace(setting.kube, `refused-${namespaces.size}`).then(async (namespace) => {
    if (before) await setting.kube.create(resourcesOf(kind).databases, objectOf(kind, namespace, before))
    return namespace
  })
  namespaces.set(key, made)
  return made
}

function objectOf(kind: Kind, namespace: string, spec: JsonObject) {
  const { name } = recordedDatabase(kindOf(kind.kind))
  return { apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name, namespace }, spec }
}

for (const { title, kind, before, write } of refusedWrites())
  test(`in KubeDB's words, ${title}`, async (t) => {
    t.timeout(300_000)
    const answer = writes[title]?.answer
    if (!answer || answer.allowed) return t.fail('KubeDB does not refuse it')
    const namespace = await namespaceWith(kind, before)
    const { databases, opsRequests } = resourcesOf(kind)
    const { name } = recordedDatabase(kindOf(kind.kind))
    const call =
      'create' in write
        ? setting.kube.tryCreate(databases, objectOf(kind, namespace, write.create))
        : setting.kube.tryCreate(opsRequests, {
            apiVersion: 'ops.kubedb.com/v1alpha1',
            kind: opsKind(kind),
            metadata: { name: `${name}-abcdefghijkl-1`, namespace },
            spec: { databaseRef: { name }, ...write.opsRequest },
          })
    const own = withoutChance(verdict(await answerOf(call)).replaceAll(namespace, recordNamespace))
    t.is(own, verdict(answer))
  })
