/** What a platform does with an instance, from provision to deprovision, and what nobody may do. */
import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import type { Route } from '../shared/routes.ts'
import type { Platform } from './platform.ts'
import { check, step, until } from './steps.ts'

const service = '2010d83f-d908-4d9f-879c-ce8f5f527f2a'
const plan = '252027a9-3bde-4afa-a251-4457ef08594e'

const Credentials = v.object({ uri: v.string() })

/** What a platform cannot see by itself. */
export interface Beside {
  /** @returns what the database of a URI says to statements: it is used from a pod, in which no way in has a part */
  sql?: (uri: string, statements: string) => Promise<string>
  /** @throws unless the dashboard shows the instance, at this address, to whoever may see it */
  assertShown?: (instanceId: string) => Promise<void>
  /**
   * what happens to the broker while there are a database with rows and a binding, which outlive it; sets ENDPOINTS
   */
  meanwhile?: () => Promise<void>
  /** @throws when something is left in the cluster */
  assertNothingLeft?: () => Promise<void>
}

/** @param cf sends requests through the way in that is tested */
export async function drive(
  cf: Platform,
  { sql, meanwhile, assertShown, assertNothingLeft }: Beside = {},
): Promise<void> {
  const id = randomUUID()
  const instance = `service_instances/${id}`
  const ids = `service_id=${service}&plan_id=${plan}&accepts_incomplete=true`
  await step('an instance is provisioned', async () => {
    const { body } = await cf.expect(202, 'PUT', `${instance}?accepts_incomplete=true`, {
      service_id: service,
      plan_id: plan,
      organization_guid: 'e2e',
      space_guid: 'e2e',
    })
    await succeeds(cf, instance, body.operation)
    await cf.expect(200, 'GET', instance)
  })

  if (assertShown !== undefined) {
    await step(
      'the dashboard shows it to whoever may see it, at the address that the broker tells',
      async () => {
        const { body } = await cf.expect(200, 'GET', instance)
        check(
          new URL(String(body.dashboard_url)).pathname === `/dashboard/instances/${id}`,
          JSON.stringify(body),
        )
        await assertShown(id)
      },
    )
  }

  const binding = `${instance}/service_bindings/one`
  const uri = await step('a binding gives credentials, the same when fetched', async () => {
    const wish = { service_id: service, plan_id: plan }
    let bound = await cf.ask('PUT', `${binding}?accepts_incomplete=true`, wish)
    // Nodes may take a moment until they know the way to a new Service: then polls make the binding.
    if (bound.status === 202) {
      await succeeds(cf, binding, bound.body.operation)
      bound = await cf.expect(200, 'PUT', binding, wish)
    } else check(bound.status === 201, `${bound.status} ${JSON.stringify(bound.body)}`)
    const fetched = await cf.expect(200, 'GET', binding)
    check(
      JSON.stringify(fetched.body.credentials) === JSON.stringify(bound.body.credentials),
      'others when fetched',
    )
    return v.parse(Credentials, bound.body.credentials).uri
  })
  if (sql !== undefined) {
    await step('psql in a pod writes and reads with them', async () => {
      const statements =
        "create table notes (line text); insert into notes values ('from a pod'); select line from notes"
      check((await sql(uri, statements)).includes('from a pod'), 'the line is not there')
    })
  }
  if (meanwhile !== undefined) {
    await meanwhile()
    await step('the binding is the same, told as the changed variable wants it', async () => {
      // Requests may meet the functions of before for a moment.
      await until('endpoints', async () => 'endpoints' in (await cf.expect(200, 'GET', binding)).body)
      const { body } = await cf.expect(200, 'GET', binding)
      check(v.parse(Credentials, body.credentials).uri === uri, 'the credentials have changed')
    })
  }
  await step('an update is made', async () => {
    const { body } = await cf.expect(202, 'PATCH', `${instance}?accepts_incomplete=true`, {
      service_id: service,
      parameters: { storage: '20Gi' },
    })
    await succeeds(cf, instance, body.operation)
  })
  if (sql !== undefined) {
    await step('the data is still there', async () => {
      check((await sql(uri, 'select line from notes')) === 'from a pod', 'the line is gone')
    })
  }
  await step('unbind takes the binding away', async () => {
    await cf.expect(200, 'DELETE', `${binding}?${ids}`)
    await cf.expect(404, 'GET', binding)
    await cf.expect(410, 'DELETE', `${binding}?${ids}`)
    await cf.expect(404, 'GET', `${binding}/last_operation`)
  })
  if (sql !== undefined) {
    await step('and its user: psql is refused', async () => {
      const refused = await sql(uri, 'select 1').catch((error: Error) => error.message)
      check(
        /psql: .*(password authentication failed|not permitted to log in|does not exist)/s.test(refused),
        refused,
      )
    })
  }
  await step('deprovision leaves nothing', async () => {
    const { body } = await cf.expect(202, 'DELETE', `${instance}?${ids}`)
    const end = await cf.settle(instance, body.operation)
    check(end.status === 410, JSON.stringify(end))
    await assertNothingLeft?.()
    await cf.expect(410, 'DELETE', `${instance}?${ids}`)
  })
}

async function succeeds(cf: Platform, path: string, operation: unknown): Promise<void> {
  const { body } = await cf.settle(path, operation)
  check(body.state === 'succeeded', JSON.stringify(body))
}

/** A gateway's own 404 has no OSB-shaped body. */
export async function driveHostilePaths(cf: Platform): Promise<void> {
  for (const [method, path] of [
    ['GET', 'catalog/'],
    ['GET', 'catalogs'],
    ['PUT', 'catalog'],
    ['GET', 'service_instances/'],
    ['POST', 'service_instances/a'],
    ['GET', 'service_instances/a/b'],
    ['GET', 'service_instances/a/last_operation/b'],
    ['DELETE', 'service_instances/a/last_operation'],
    ['GET', 'service_instances/a/service_bindings'],
    ['PATCH', 'service_instances/a/service_bindings/b'],
    ['GET', 'service_instances/a/service_bindings/b/c'],
    ['GET', '../service_instances/a'],
    ['GET', '../x/v2/service_instances/a'],
    ['GET', '../x/v2/catalog'],
  ] as const) {
    const answer = await cf.ask(method, path)
    const gateways =
      answer.status === 404 && answer.body.error === undefined && !('description' in answer.body)
    check(gateways, `${method} ${path}: ${JSON.stringify(answer)}`)
  }
  // An encoded slash stays inside the id, which is refused for it: this is no poll.
  const { body } = await cf.expect(400, 'GET', 'service_instances/a%2Flast_operation')
  check(String(body.description).startsWith('instance_id: '), `${JSON.stringify(body)} is not about the id`)
}

/** Requests that change nothing, one for each function: of what does not exist, or without what they need. */
export function harmless(route: Route): [method: string, path: string, body?: object] {
  const path = route.path.replace('/v2/', '').replaceAll(/:\w+/g, 'not-there')
  const query = `service_id=${service}&plan_id=${plan}&accepts_incomplete=true`
  const withBody = route.method === 'PUT' || route.method === 'PATCH'
  return withBody ? [route.method, path, {}] : [route.method, `${path}?${query}`]
}
