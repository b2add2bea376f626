/** What KubeDB on the cluster lacks is refused at once, and versions go only where its catalog lets them go. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { applyRoles } from '../../sandbox/broker/service-accounts.ts'
import { administratorOf } from '../../sandbox/control-plane/administrator.ts'
import { startControlPlaneWithKinds } from '../../sandbox/control-plane/with-kinds.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { databaseName, instanceRecordName } from '../../shared/kubedb/records/names.ts'
import { openBroker, type TestBroker } from '../support/broker.ts'
import { at, atApiServer, type TestCluster, textAt, useCluster } from '../support/cluster.ts'
import { shapeOf } from '../support/fault-call.ts'
import { openFaultLane } from '../support/fault-lane.ts'
import { inventoryOf, isEmpty } from '../support/inventory.ts'
import { twoHoursPass } from '../support/passing-time.ts'
import { platformOf } from '../support/platform.ts'

const cluster = useCluster(test)

/** Lets users choose among other versions than the shipped catalog does. */
async function offer(broker: TestBroker, versions: string[]): Promise<void> {
  const text = await readFile(broker.catalogFile, 'utf8')
  const list = versions.map((version) => `'${version}'`).join(', ')
  const changed = text.replace(/versions: &versions \[.*\]/, `versions: &versions ['18.3', ${list}]`)
  if (changed === text) throw new Error('the catalog has no list of versions')
  await writeFile(broker.catalogFile, changed)
}

/** A cluster with KubeDB's resources in which neither its operator nor its webhook runs. */
async function bareCluster(t: ExecutionContext): Promise<TestCluster> {
  t.timeout(120_000)
  const directory = await mkdtemp(join(tmpdir(), 'bare-cluster-'))
  const plane = await startControlPlaneWithKinds({ directory, progress: () => undefined })
  t.teardown(async () => {
    await plane.stop()
    await rm(directory, { recursive: true, force: true })
  })
  const administrator = administratorOf(plane)
  await applyRoles(administrator, cluster.namespaces, [...kinds.values()], 'functions')
  return atApiServer(cluster, plane, administrator)
}

const errors = (broker: TestBroker) => broker.lines.filter((line) => line.includes('"level":"error"'))

test("without KubeDB's webhook an unknown version or kind is refused all the same, and nothing is left", async (t) => {
  const bare = await bareCluster(t)
  const broker = await openBroker(t, { cluster: bare })
  const platform = platformOf(broker)
  await offer(broker, ['17.9', '99.0'])

  const known = randomUUID()
  t.is((await platform.provision(known)).status, 202)

  const unknown = randomUUID()
  for (let attempt = 1; attempt <= 2; attempt++) {
    const answer = await platform.provision(unknown, { version: '99.0' })
    t.is(answer.status, 400, answer.text)
    t.is(answer.body.error, 'BadRequest')
    t.regex(
      textAt(answer.body, 'description'),
      /^version: KubeDB on this cluster has no Postgres version 99\.0; /,
    )
    t.true(isEmpty(await inventoryOf(bare, unknown)))
    t.is((await platform.deprovision(unknown)).status, 410)
  }
  t.regex(
    errors(broker).join('\n'),
    /PostgresVersion 99\.0 is not in the cluster.*kubectl get postgresversions/,
  )

  // A provision that was cut off between record and database, whose version has been withdrawn meanwhile.
  const recordsPath = bare.recordsPath()
  const database = `${bare.databasesPath('postgreses')}/${databaseName(known, 40)}`
  const version = '/apis/catalog.kubedb.com/v1alpha1/postgresversions/18.3'
  t.is((await bare.admin('DELETE', database)).status, 200)
  t.is((await bare.admin('DELETE', version)).status, 200)
  await twoHoursPass(bare, instanceRecordName(known))
  const late = await platform.provision(known)
  t.is(late.status, 400, late.text)
  t.true(isEmpty(await inventoryOf(bare, known)))

  // An instance that is there is not gone because its kind is not served.
  const alive = randomUUID()
  const begun = await platform.provision(alive, { version: '17.9' })
  t.is(begun.status, 202, begun.text)

  for (const name of ['postgreses.kubedb.com', 'postgresversions.catalog.kubedb.com']) {
    await withdraw(t, bare, name)
    const answer = await platform.provision(randomUUID(), { version: '17.9' })
    t.is(answer.status, 400, answer.text)
    t.regex(textAt(answer.body, 'description'), /^KubeDB on this cluster does not offer Postgres; /)
    const items = at((await bare.admin('GET', recordsPath)).body, 'items')
    t.is(Array.isArray(items) && items.length, 1)
    for (const answer of [await platform.poll(alive, begun), await platform.deprovision(alive)]) {
      t.is(answer.status, 500, answer.text)
      t.is(answer.body.error, 'Misconfigured')
    }
  }
  t.regex(errors(broker).join('\n'), /lacks the resources of KubeDB's Postgres.*featureGates\.Postgres=true/)
})

/** Takes a kind out of a cluster. */
async function withdraw(t: ExecutionContext, { admin }: TestCluster, name: string): Promise<void> {
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`
  t.is((await admin('DELETE', path)).status, 200)
  for (let tries = 0; (await admin('GET', path)).status !== 404; tries++) {
    if (tries === 200) throw new Error(`${name} stays`)
    await delay(100)
  }
}

/** Versions of this test alone: 91 → 92 only by way of 91.5. */
async function catalogOfUpgrades(t: ExecutionContext): Promise<void> {
  const path = '/apis/catalog.kubedb.com/v1alpha1/postgresversions'
  const image = { image: 'postgres:91' }
  for (const [name, allowlist] of [
    ['91.0', ['>= 91.0, < 92']],
    ['91.5', ['>= 91.5']],
    ['92.0', ['>= 92.0']],
  ] as const) {
    const { status, text } = await cluster.admin('POST', path, {
      apiVersion: 'catalog.kubedb.com/v1alpha1',
      kind: 'PostgresVersion',
      metadata: { name },
      spec: {
        version: name,
        db: image,
        exporter: image,
        coordinator: image,
        podSecurityPolicies: { databasePolicyName: 'none' },
        updateConstraints: { allowlist },
      },
    })
    if (status !== 201) throw new Error(text)
    t.teardown(() => cluster.admin('DELETE', `${path}/${name}`))
  }
}

test('an upgrade goes where the catalog of the cluster lets it go, and the way is told before anything is written', async (t) => {
  t.timeout(240_000)
  await catalogOfUpgrades(t)
  const lane = await openFaultLane(t, {
    cluster,
    environment: { REQUEST_BUDGET: '45', ABANDONED_AFTER: '120' },
  })
  const { platform } = lane
  await offer(lane.broker, ['91.0', '91.5', '92.0', '99.0'])
  const instanceId = await platform.instance({ version: '91.0' })

  const refusals: [string, RegExp][] = [
    [
      '92.0',
      /^version: KubeDB does not take Postgres from 91\.0 to 92\.0 in one step; upgrade to 91\.5 first$/,
    ],
    ['99.0', /^version: KubeDB on this cluster has no Postgres version 99\.0; it can be upgraded to 91\.5$/],
  ]
  for (const [version, why] of refusals) {
    const calls = await lane.callsOf(async () => {
      const answer = await platform.update(instanceId, { version })
      t.is(answer.status, 422, answer.text)
      t.is(answer.body.error, undefined)
      t.regex(textAt(answer.body, 'description'), why)
    })
    t.deepEqual(calls.map(shapeOf).toSorted(), [
      'GET appbindings/osb-i',
      'GET postgreses/db',
      'GET postgresversions',
    ])
  }
  t.is(textAt((await platform.fetch(instanceId)).body, 'parameters', 'version'), '91.0')

  // What does not touch the version does not ask for versions.
  const calls = await lane.callsOf(async () => {
    const end = await platform.settle(instanceId, await platform.update(instanceId, { suspended: false }))
    t.true([200, 202].includes(end.status), end.text)
  })
  t.false(calls.map(shapeOf).some((shape) => shape.includes('postgresversions')))

  for (const version of ['91.5', '92.0']) {
    const end = await platform.settle(instanceId, await platform.update(instanceId, { version }))
    t.is(end.body.state, 'succeeded', end.text)
  }
  const fetched = await platform.fetch(instanceId)
  t.is(textAt(fetched.body, 'maintenance_info', 'version'), '92.0.0', fetched.text)
})
