/**
 * The whole life of every plan of a catalog, at a broker that runs already: provision, bind, every parameter, the
 * versions, suspend and resume, unbind, deprovision, and every move to another plan.
 *
 *     npm run e2e:plans -- --catalog catalog.yaml
 *
 * --catalog FILE    what the broker offers: its CATALOG_FILE
 * --sandbox FILE    where `npm start` wrote how it is reached; .sandbox/sandbox.json unless given. Another broker:
 *                   a file with {url, username, password}
 * --service NAME    of these services only; may be given more than once
 * --at-once N       instances that live at the same time, 3 unless given
 *
 * What KubeDB refuses, and what fails, is a failure; what the broker refuses with its own reason is counted and told.
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { turns } from '../sandbox/machine/turns.ts'
import { kindOf, kinds } from '../shared/kubedb/databases/kinds.ts'
import { catalogOf } from '../shared/osb/catalog/catalog.ts'
import { readCatalogYaml } from '../shared/osb/catalog/yaml.ts'
import type { Parameters, Plan } from '../shared/values/nouns.ts'
import { changesOf, firstParameters } from './plan-changes.ts'
import { type Answer, type Platform, platform } from './platform.ts'
import { check, counts, say, step } from './steps.ts'

const { values } = parseArgs({
  options: {
    catalog: { type: 'string' },
    sandbox: { type: 'string', default: '.sandbox/sandbox.json' },
    service: { type: 'string', multiple: true },
    'at-once': { type: 'string', default: '3' },
  },
})
const Reached = v.object({ url: v.string(), username: v.string(), password: v.string() })

/** What has been asked, over all plans. */
const asked = { plans: 0, updates: 0, moves: 0, refused: 0 }

/** @returns whether the broker has taken the change; what it refuses with its own reason is no failure */
async function changed(cf: Platform, instance: string, body: object, what: string): Promise<boolean> {
  const answer = await cf.ask('PATCH', `${instance}?accepts_incomplete=true`, body)
  if (answer.status === 422) {
    const why = String(answer.body.description)
    check(!/KubeDB (refuses|cannot handle)/.test(why), `${what}: ${why}`)
    asked.refused += 1
    say(`  ${what}: refused: ${why}`)
    return false
  }
  check([200, 202].includes(answer.status), `${what}: ${answer.status} ${JSON.stringify(answer.body)}`)
  if (answer.status === 202) await succeeds(cf, instance, answer, what)
  return true
}

async function succeeds(cf: Platform, path: string, { body }: Answer, what: string): Promise<void> {
  const end = await cf.settle(path, body.operation)
  check(end.body.state === 'succeeded', `${what}: ${JSON.stringify(end.body)}`)
}

async function provisioned(cf: Platform, plan: Plan, parameters: Parameters): Promise<string> {
  const instance = `service_instances/${randomUUID()}`
  const ids = { service_id: plan.serviceId, plan_id: plan.id }
  const made = await cf.expect(202, 'PUT', `${instance}?accepts_incomplete=true`, {
    ...ids,
    organization_guid: 'e2e',
    space_guid: 'e2e',
    parameters,
  })
  await succeeds(cf, instance, made, 'provision')
  await cf.expect(200, 'GET', instance)
  return instance
}

async function deprovisioned(cf: Platform, { serviceId, id }: Plan, instance: string): Promise<void> {
  const query = `service_id=${serviceId}&plan_id=${id}&accepts_incomplete=true`
  const { body } = await cf.expect(202, 'DELETE', `${instance}?${query}`)
  const end = await cf.settle(instance, body.operation)
  check(end.status === 410, `deprovision: ${JSON.stringify(end)}`)
}

async function lead(cf: Platform, plan: Plan): Promise<void> {
  const instance = await provisioned(cf, plan, firstParameters(plan))
  try {
    await change(cf, plan, instance)
  } catch (error) {
    await deprovisioned(cf, plan, instance).catch(() => undefined)
    throw error
  }
  await deprovisioned(cf, plan, instance)
}

/** Binds, sets each parameter, unbinds. */
async function change(cf: Platform, plan: Plan, instance: string): Promise<void> {
  const { serviceId: service_id, id: plan_id } = plan
  const binding = `${instance}/service_bindings/one`
  if (plan.bindable) {
    const bound = await cf.ask('PUT', `${binding}?accepts_incomplete=true`, { service_id, plan_id })
    check([201, 202].includes(bound.status), `bind: ${bound.status} ${JSON.stringify(bound.body)}`)
    if (bound.status === 202) await succeeds(cf, binding, bound, 'bind')
    await cf.expect(200, 'GET', binding)
  }
  for (const parameters of changesOf(plan, kindOf(plan.kind))) {
    const what = `${nameOf(plan)} ${JSON.stringify(parameters)}`
    if (await changed(cf, instance, { service_id, parameters }, what)) asked.updates += 1
  }
  if (plan.bindable) {
    const query = `service_id=${service_id}&plan_id=${plan_id}&accepts_incomplete=true`
    const parted = await cf.ask('DELETE', `${binding}?${query}`)
    check([200, 202].includes(parted.status), `unbind: ${parted.status} ${JSON.stringify(parted.body)}`)
    if (parted.status === 202) {
      const end = await cf.settle(binding, parted.body.operation)
      check(end.status === 410, `unbind: ${JSON.stringify(end)}`)
    }
    await cf.expect(404, 'GET', binding)
  }
}

/** From a plan as it is without parameters to each of the others: the instance that arrives is not moved again. */
async function move(cf: Platform, from: Plan, others: readonly Plan[]): Promise<void> {
  let instance: string | undefined
  for (const to of others) {
    instance ??= await provisioned(cf, from, {})
    const body = { service_id: from.serviceId, plan_id: to.id }
    if (!(await changed(cf, instance, body, `${nameOf(from)} -> ${to.name}`))) continue
    asked.moves += 1
    await deprovisioned(cf, to, instance)
    instance = undefined
  }
  if (instance !== undefined) await deprovisioned(cf, from, instance)
}

const nameOf = ({ serviceName, name }: Plan) => `${serviceName}/${name}`

async function run(): Promise<void> {
  if (values.catalog === undefined) throw new Error('--catalog <the file that the broker offers> is needed')
  const { url, username, password } = v.parse(Reached, JSON.parse(await readFile(values.sandbox, 'utf8')))
  const cf = platform(url, username, password)
  const { services } = catalogOf(readCatalogYaml(await readFile(values.catalog, 'utf8'), kinds), kinds)
  const busy = turns(Number(values['at-once']))
  await Promise.all(
    services
      .filter(({ name }) => values.service?.includes(name) ?? true)
      .flatMap(({ plans }) =>
        plans.map((plan) =>
          busy(async () => {
            const others = plans.filter((one) => one !== plan && one.planUpdateable)
            // A plan that fails is told of, and the others are tried all the same.
            await step(`${nameOf(plan)} is led through its life`, () => lead(cf, plan)).catch(() => undefined)
            await step(`${nameOf(plan)} is moved to each other plan, or that is refused`, () =>
              move(cf, plan, others),
            ).catch(() => undefined)
            asked.plans += 1
          }),
        ),
      ),
  )
  const { plans, updates, moves, refused } = asked
  say(`${plans} plans, ${updates} updates, ${moves} moves; ${refused} refused by the broker with its reason`)
  console.log(`${counts.passed} passed, ${counts.failed} failed`)
  process.exitCode = counts.failed > 0 ? 1 : 0
}

await run()
