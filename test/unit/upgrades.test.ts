/** Upgrades as KubeDB's own catalog of versions allows them, and what the platform's user is told of the others. */
import test from 'ava'
import type { Database } from '../../shared/kubedb/databases/database.ts'
import { elasticsearch } from '../../shared/kubedb/databases/elasticsearch.ts'
import { memcached } from '../../shared/kubedb/databases/memcached.ts'
import { mongodb } from '../../shared/kubedb/databases/mongodb.ts'
import { mysql } from '../../shared/kubedb/databases/mysql.ts'
import { compareVersions } from '../../shared/kubedb/databases/parts/dimensions.ts'
import { postgres } from '../../shared/kubedb/databases/postgres.ts'
import { rabbitmq } from '../../shared/kubedb/databases/rabbitmq.ts'
import { redis } from '../../shared/kubedb/databases/redis.ts'
import { upgradeObstacle } from '../../shared/kubedb/instances/upgrades.ts'
import type { VersionFacts } from '../../shared/kubedb/instances/versions.ts'
import { distribution } from '../../shared/values/semver.ts'
import { allPlans } from '../support/shipped-catalog.ts'
import { catalogVersions } from '../support/version-facts.ts'

const upgrade = (kind: Database, from: string, to: string, versions = catalogVersions(kind), spec = {}) =>
  upgradeObstacle(kind, from, to, versions, spec)

const allowed: [Database, string, string][] = [
  [postgres, '12.22', '18.3'],
  [rabbitmq, '3.12.12', '3.13.2'],
  [postgres, '17.8', '17.9'],
  [mysql, '8.4.8', '9.1.0'],
  [mysql, '9.1.0', '9.7.1'],
  [mysql, '5.7.44', '8.0.36'],
  [mongodb, '6.0.24', '7.0.28'],
  [mongodb, 'percona-7.0.18', 'percona-8.0.17'],
  [memcached, '1.5.22', '1.6.40'],
  [redis, '7.2.6', '7.4.1'],
  // KubeDB moves Redis to Valkey and back within a major version, as far as the ranges go.
  [redis, '7.2.3', 'valkey-7.2.9'],
  [elasticsearch, 'xpack-8.19.9', 'xpack-9.2.3'],
  [elasticsearch, 'opensearch-2.19.2', 'opensearch-3.1.0'],
]
for (const [kind, from, to] of allowed) {
  test(`${kind.kind} ${from} may become ${to}`, (t) => {
    t.is(upgrade(kind, from, to), undefined)
  })
}

const refused: [Database, string, string, RegExp][] = [
  [mysql, '8.4.8', '9.7.1', /from 8\.4\.8 to 9\.7\.1 in one step; upgrade to 9\.1\.0 first$/],
  [mysql, '5.7.44', '9.7.1', /; upgrade to 8\.0\.36 first$/],
  [mongodb, '5.0.31', '8.0.17', /; upgrade to 6\.0\.24 first$/],
  [redis, '4.0.11', '8.2.2', /; it can be upgraded to 5\.0\.14$/],
  [redis, '8.2.2', '9.0.0', /has no Redis version 9\.0\.0; there is no newer version/],
  [
    redis,
    '7.4.6',
    'valkey-8.1.1',
    /stays with its distribution; 7\.4\.6 is of Official, valkey-8\.1\.1 of Valkey/,
  ],
  [
    mongodb,
    '7.0.28',
    'percona-8.0.17',
    /stays with its distribution; .* it can be upgraded to 8\.0\.17, 8\.0\.10$/,
  ],
  [elasticsearch, 'xpack-6.8.23', 'searchguard-7.9.3', /stays with its distribution/],
  [elasticsearch, 'opensearch-2.19.2', 'opensearch-3.4.0', /; upgrade to opensearch-3\.1\.0 first$/],
  [
    postgres,
    '17.9',
    '18.9',
    /^version: KubeDB on this cluster has no Postgres version 18\.9; it can be upgraded to 18\.3, /,
  ],
  [postgres, '9.6', '18.3', /has 9\.6 no more, .* has to bring the PostgresVersion 9\.6 back/],
]
for (const [kind, from, to, why] of refused) {
  test(`${kind.kind} ${from} may not become ${to}`, (t) => {
    t.regex(upgrade(kind, from, to) ?? 'allowed', why)
  })
}

test('MySQL has ranges of its own for each topology', (t) => {
  const versions = catalogVersions(mysql).map((version) =>
    version.name === '8.4.8' ? { ...version, deny: { groupReplication: ['>= 9'], standalone: [] } } : version,
  )
  t.is(upgrade(mysql, '8.4.8', '9.1.0', versions), undefined)
  t.regex(
    upgrade(mysql, '8.4.8', '9.1.0', versions, {
      topology: { mode: 'GroupReplication' },
    }) ?? '',
    /in one step/,
  )
})

test('what is deprecated, or of another base image, is no target', (t) => {
  const versions = (more: Partial<VersionFacts>) =>
    catalogVersions(postgres).map((version) =>
      version.name === '18.3' ? { ...version, ...more } : { ...version, baseOS: 'alpine' },
    )
  t.regex(upgrade(postgres, '17.9', '18.3', versions({ deprecated: true })) ?? '', /18\.3 is deprecated/)
  t.regex(
    upgrade(postgres, '17.9', '18.3', versions({ baseOS: 'bookworm' })) ?? '',
    /of alpine, 18\.3 of bookworm/,
  )
  t.is(upgrade(postgres, '17.9', '18.3', versions({})), undefined)
})

test('ranges that are not understood are left to KubeDB', (t) => {
  const versions = catalogVersions(postgres).map((version) => ({ ...version, allow: ['the next one'] }))
  t.is(upgrade(postgres, '17.9', '18.3', versions), undefined)
})

/** Where KubeDB's own ranges end, short of the newest: nothing of its catalog goes on from there. */
const deadEnds: { readonly [kind: string]: readonly string[] } = { Redis: ['7.2.6', '8.0.4'] }

for (const { plan, kind } of allPlans()) {
  test(`${plan.serviceName} ${plan.name}: from every version that is offered there is a way to the newest, by offered ones`, (t) => {
    const known = catalogVersions(kind)
    const offered = [...new Set([plan.version, ...(plan.parameters.version?.enum ?? [])])].sort(
      compareVersions,
    )
    const unknown = offered.filter((one) => !known.some(({ name }) => name === one))
    t.deepEqual(unknown, [], 'KubeDB has them all')
    const next = (from: string) =>
      offered.filter(
        (to) => compareVersions(to, from) > 0 && upgrade(kind, from, to, known, plan.spec) === undefined,
      )
    for (const from of deadEnds[kind.kind] ?? [])
      t.notRegex(
        upgrade(kind, from, String(offered.at(-1)), known, plan.spec) ?? 'upgrade to it first',
        / first$/,
        `${from} is a dead end no more: take it off the list`,
      )
    for (const from of offered) {
      const newest = offered.findLast((one) => distribution(one) === distribution(from))
      const reached = new Set([from])
      for (const one of reached) for (const to of next(one)) reached.add(to)
      const ends = [newest, ...(deadEnds[kind.kind] ?? [])]
      t.true(
        ends.some((end) => end !== undefined && reached.has(end)),
        `${from} to ${newest}`,
      )
    }
  })
}
