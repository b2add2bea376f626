import test from 'ava'
import type { Wanted } from '../../shared/kubedb/databases/database.ts'
import { merge } from '../../shared/kubedb/databases/parts/spec.ts'
import { postgres } from '../../shared/kubedb/databases/postgres.ts'
import { differences, planUpdate } from '../../shared/kubedb/instances/planner.ts'
import type { Resolved } from '../../shared/kubedb/records/instance-record.ts'
import type { JsonObject } from '../../shared/values/json.ts'

const template = {
  replicas: 1,
  storageType: 'Durable',
  storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } },
  deletionPolicy: 'WipeOut',
}

/** What is asked of KubeDB for these parameters, `version` 17.9 unless they say so. */
function asked(parameters: Partial<Wanted> = {}, more: Partial<Resolved> = {}): Resolved {
  const settings = { addresses: 'cluster', instance: 'i' } as const
  const spec = postgres.build(template, { version: '17.9', ...parameters }, settings)
  return { spec, database: 'app', labels: {}, annotations: {}, ...more }
}

/** @returns the steps as short texts, or why there is no way */
function planned(had: Resolved, wanted: Resolved, live: JsonObject = had.spec, ...unfinished: Resolved[]) {
  const plan = planUpdate(postgres, { had, wanted, unfinished, live })
  switch (plan.kind) {
    case 'nothing':
      return []
    case 'impossible':
      return plan.reason
    case 'steps':
      return plan.steps.map(({ dimension, change }) =>
        change.by === 'opsRequest' ? change.type : `${dimension} ${JSON.stringify(change.spec)}`,
      )
  }
}

test('nothing asked, nothing done', (t) => {
  t.deepEqual(planned(asked(), asked()), [])
  // whatever a person has made of the database meanwhile
  const live = merge(asked().spec, { version: '18.3', replicas: 5, halted: false })
  t.deepEqual(planned(asked(), asked(), live), [])
})

test('each change is the OpsRequest that KubeDB has for it', (t) => {
  t.deepEqual(planned(asked(), asked({ cpu: '1' })), ['VerticalScaling'])
  t.deepEqual(planned(asked({ cpu: '1' }), asked({ cpu: '2' })), ['VerticalScaling'])
  t.deepEqual(planned(asked(), asked({ storage: '20Gi' })), ['VolumeExpansion'])
  t.deepEqual(planned(asked(), asked({ replicas: 3 })), ['HorizontalScaling'])
  t.deepEqual(planned(asked(), asked({ configuration: { work_mem: '8MB' } })), ['Reconfigure'])
  t.deepEqual(planned(asked(), asked({ version: '18.3' })), ['UpdateVersion'])
  t.deepEqual(planned(asked({ storageClass: 'standard' }), asked({ storageClass: 'fast' })), [
    'StorageMigration',
  ])
  const issuer = { kind: 'ClusterIssuer', name: 'ca' } as const
  t.deepEqual(planned(asked(), asked({ issuer })), ['ReconfigureTLS'])
  t.deepEqual(planned(asked({ issuer }), asked()), ['ReconfigureTLS'])
})

test('what KubeDB takes as a plain patch is one', (t) => {
  t.deepEqual(planned(asked(), asked({ deletionPolicy: 'Halt' })), [
    'deletionPolicy {"deletionPolicy":"Halt"}',
  ])
  t.deepEqual(planned(asked(), asked({ suspended: true })), ['suspended {"halted":true}'])
})

test("what KubeDB's webhook writes beside what was asked for is no difference", (t) => {
  const outside = { addresses: 'external', instance: 'i' } as const
  const { serviceTemplates, ...spec } = postgres.build(template, { version: '17.9' }, outside)
  const of = (live: JsonObject): Resolved => ({ ...asked(), spec: live })
  const wanted = of({ ...spec, ...(serviceTemplates ? { serviceTemplates } : {}) })
  const live = {
    ...spec,
    serviceTemplates: [{ alias: 'primary', metadata: {}, spec: { type: 'LoadBalancer' } }],
  }
  const plan = planUpdate(postgres, { had: wanted, wanted, unfinished: [of(spec)], live })
  t.deepEqual(plan, { kind: 'nothing' })
})

test('an OpsRequest says all that KubeDB would otherwise guess', (t) => {
  const plan = planUpdate(postgres, {
    had: asked(),
    wanted: asked({ replicas: 3, storage: '20Gi', configuration: { jit: true } }),
    unfinished: [],
    live: asked().spec,
  })
  t.like(plan, {
    kind: 'steps',
    steps: [
      { change: { apply: 'Always', body: { volumeExpansion: { mode: 'Online', postgres: '20Gi' } } } },
      {
        change: {
          apply: 'IfReady',
          body: { horizontalScaling: { replicas: 3, standbyMode: 'Hot', streamingMode: 'Asynchronous' } },
        },
      },
      {
        change: {
          apply: 'Always',
          body: {
            configuration: { removeCustomConfig: true, applyConfig: { 'user.conf': "jit = 'true'\n" } },
          },
        },
      },
    ],
  })
})

test('settings that are taken back are removed, not left', (t) => {
  const plan = planUpdate(postgres, {
    had: asked({ configuration: { jit: true } }),
    wanted: asked(),
    unfinished: [],
    live: asked({ configuration: { jit: true } }).spec,
  })
  t.like(plan, {
    steps: [{ change: { body: { configuration: { removeCustomConfig: true, restart: 'auto' } } } }],
  })
  t.notRegex(JSON.stringify(plan), /applyConfig/)
})

test('the version comes last: it cannot be undone', (t) => {
  const all = { version: '18.3', cpu: '1', storage: '20Gi', replicas: 3, configuration: { jit: true } }
  t.deepEqual(planned(asked(), asked(all)), [
    'VolumeExpansion',
    'VerticalScaling',
    'HorizontalScaling',
    'Reconfigure',
    'UpdateVersion',
  ])
})

test('a catalog raised from 17 to 18 upgrades nobody who only asked for CPU', (t) => {
  const live = merge(asked().spec, { version: '18.3' })
  t.deepEqual(planned(asked(), asked({ cpu: '1' }), live), ['VerticalScaling'])
})

test('a disk that an administrator has grown is no shrink', (t) => {
  const live = asked({ storage: '50Gi' }).spec
  t.deepEqual(planned(asked(), asked({ cpu: '1' }), live), ['VerticalScaling'])
  t.deepEqual(planned(asked(), asked({ storage: '20Gi' }), live), [])
  t.deepEqual(planned(asked(), asked({ storage: '60Gi' }), live), ['VolumeExpansion'])
})

test('sizes are compared as quantities, not as texts', (t) => {
  t.deepEqual(planned(asked(), asked({ storage: '20480Mi' }), asked({ storage: '20Gi' }).spec), [])
  t.deepEqual(planned(asked({ cpu: '1' }), asked({ cpu: '2' }), asked({ cpu: '2000m' }).spec), [])
})

test('what cannot be is refused with a sentence', (t) => {
  t.is(
    planned(asked({ storage: '20Gi' }), asked()),
    'storage: a disk cannot shrink; it is 20Gi now, ask for that or more',
  )
  t.is(
    planned(asked({ version: '18.3' }), asked()),
    'version: 18.3 cannot go back to 17.9; databases are not downgraded',
  )
  t.regex(
    String(planned(asked({ storageClass: 'fast' }), asked())),
    /^storageClass: disks move to a class that is named, not back/,
  )
  t.regex(
    String(planned(asked(), asked({ storageClass: 'fast' }))),
    /^storageClass: this instance was made without one.*make a new instance with storageClass and copy/,
  )
  const inMemory = {
    spec: { version: '17.9', replicas: 1, storageType: 'Ephemeral', deletionPolicy: 'WipeOut' },
  }
  const toMemory = planned(asked(), { ...asked(), ...inMemory })
  t.regex(String(toMemory), /storageType: data cannot move between memory and disk/)
})

test('one impossible part refuses the whole', (t) => {
  t.is(typeof planned(asked({ storage: '20Gi' }), asked({ cpu: '1' })), 'string')
})

test('a part of the spec that no dimension covers cannot be changed', (t) => {
  const wanted = { ...asked(), spec: merge(asked().spec, { storage: { accessModes: ['ReadWriteMany'] } }) }
  t.is(planned(asked(), wanted), 'spec.storage.accessModes cannot be changed once the database exists')
  const labelled = {
    ...asked(),
    spec: merge(asked().spec, { podTemplate: { metadata: { labels: { app: 'x' } } } }),
  }
  t.regex(String(planned(asked(), labelled)), /^spec\.podTemplate\.metadata\.labels\.app cannot be changed/)
})

test('another distribution of the same version is no version that is reached already', (t) => {
  t.deepEqual(planned(asked({ version: '18.3' }), asked({ version: '18.3-bookworm' })), ['UpdateVersion'])
})

test('an update that did not finish is finished when it is sent again', (t) => {
  const target = asked({ cpu: '2', storage: '20Gi' })
  const live = asked({ storage: '20Gi' }).spec
  t.deepEqual(planned(asked(), target, live, target), ['VerticalScaling'])
})

test('an update that did not finish is rolled back as far as that can be', (t) => {
  const had = asked({ cpu: '1' })
  const target = asked({ cpu: '2', storage: '20Gi' })
  // cpu is taken back; the disk stays, since it cannot shrink
  t.deepEqual(planned(had, had, target.spec, target), ['VerticalScaling'])
  t.deepEqual(planned(had, had, had.spec, target), [])
})

test('what several failed updates in a row may have left is looked at again', (t) => {
  const had = asked({ cpu: '1' })
  const first = asked({ cpu: '2' })
  const second = asked({ cpu: '1', replicas: 3 })
  t.deepEqual(planned(had, had, first.spec, first, second), ['VerticalScaling'])
  t.deepEqual(planned(had, had, first.spec, second), [])
})

test('a suspended instance is resumed first and suspended last', (t) => {
  const asleep = asked({ suspended: true })
  t.deepEqual(planned(asleep, asked({ suspended: false, cpu: '1' })), [
    'suspended {"halted":false}',
    'VerticalScaling',
  ])
  t.deepEqual(planned(asked(), asked({ suspended: true, cpu: '1', deletionPolicy: 'Delete' })), [
    'deletionPolicy {"deletionPolicy":"Delete"}',
    'VerticalScaling',
    'suspended {"halted":true}',
  ])
})

test('a suspended instance takes no OpsRequest, whoever suspended it', (t) => {
  const asleep = asked({ suspended: true })
  t.regex(String(planned(asleep, asked({ suspended: true, cpu: '1' }))), /^the instance is suspended; send/)
  t.regex(String(planned(asked(), asked({ cpu: '1' }), asleep.spec)), /^the instance is suspended; send/)
  // what is only a patch goes through
  t.is(planned(asleep, asked({ suspended: true, deletionPolicy: 'Delete' }))?.length, 1)
})

test('labels and annotations are set by one patch, and those no longer wanted are taken away', (t) => {
  const had = asked({}, { labels: { 'a/stays': '1', 'a/goes': '1', 'a/changes': '1' } })
  const wanted = asked({}, { labels: { 'a/stays': '1', 'a/changes': '2' }, annotations: { 'a/new': 'x' } })
  t.like(planUpdate(postgres, { had, wanted, unfinished: [], live: had.spec }), {
    steps: [
      {
        dimension: 'metadata',
        change: { by: 'patch', spec: {} },
        labels: { 'a/goes': null, 'a/changes': '2' },
        annotations: { 'a/new': 'x' },
      },
    ],
  })
  t.deepEqual(planned(wanted, wanted), [])
  // a label that a failed update may have set
  const failed = asked({}, { labels: { 'a/failed': '1', 'a/stays': '3' } })
  t.like(planUpdate(postgres, { had, wanted: had, unfinished: [failed], live: had.spec }), {
    steps: [{ labels: { 'a/failed': null, 'a/stays': '1' } }],
  })
})

test('differences are found down to the leaves; a list is one', (t) => {
  t.deepEqual(differences({ a: { b: 1, c: [1] }, d: 1 }, { a: { b: 2, c: [2] }, e: 1 }), [
    'a.b',
    'a.c',
    'd',
    'e',
  ])
  t.deepEqual(differences(undefined, { a: { b: 1 } }), ['a.b'])
  t.deepEqual(differences({ a: { b: 1 } }, {}), ['a.b'])
  t.deepEqual(differences({ a: {} }, {}), [])
  t.deepEqual(differences({ a: 1 }, { a: { b: 1 } }), ['a'])
  t.deepEqual(differences({ a: { b: 1, c: 2 } }, { a: { c: 2, b: 1 } }), [])
})

test('an upgrade that KubeDB does not make is impossible, together with all else that is', (t) => {
  const facts = { distribution: undefined, baseOS: undefined, deprecated: false, deny: [] }
  const versions = [
    { ...facts, name: '17.9', version: '17.9', allow: ['< 18.3'] },
    { ...facts, name: '18.2', version: '18.2', allow: ['>= 18.2'] },
    { ...facts, name: '18.3', version: '18.3', allow: [] },
  ]
  const comparison = { had: asked(), unfinished: [], live: asked().spec, versions }
  t.deepEqual(planUpdate(postgres, { ...comparison, wanted: asked({ version: '18.3', storage: '1Gi' }) }), {
    kind: 'impossible',
    reason:
      'storage: a disk cannot shrink; it is 10Gi now, ask for that or more; version: KubeDB does not take Postgres from 17.9 to 18.3 in one step; upgrade to 18.2 first',
  })
  t.like(planUpdate(postgres, { ...comparison, wanted: asked({ version: '18.2' }) }), { kind: 'steps' })
  t.like(planUpdate(postgres, { ...comparison, wanted: asked({ cpu: '2' }), versions: [] }), {
    kind: 'steps',
  })
})
