import * as v from 'valibot'
import type { Sandbox } from './sandbox.ts'

const Catalog = v.object({
  services: v.array(
    v.object({
      id: v.string(),
      name: v.string(),
      plans: v.array(v.object({ id: v.string(), name: v.string() })),
    }),
  ),
})

/**
 * Asks the running broker for its catalog, which shows that it works, and writes down what to do with it.
 *
 * @returns lines for people, to paste into a shell with curl
 * @throws when the broker does not answer as it should
 */
export async function instructions({ url, username, password, kubeconfig }: Sandbox): Promise<string> {
  const credentials = Buffer.from(`${username}:${password}`).toString('base64')
  const answer = await fetch(`${url}/v2/catalog`, {
    headers: { Authorization: `Basic ${credentials}`, 'X-Broker-API-Version': '2.17' },
  })
  const body = await answer.text()
  if (answer.status !== 200) throw new Error(`GET /v2/catalog answers ${answer.status}: ${body}`)
  const { services } = v.parse(Catalog, JSON.parse(body))
  const offers = services.flatMap((service) => service.plans.map((plan) => ({ service, plan })))
  const offer = offers.find(({ plan }) => plan.name === 'small') ?? offers[0]
  if (!offer) throw new Error('the catalog has no plan')
  const ids = `"service_id":"${offer.service.id}","plan_id":"${offer.plan.id}"`
  const query = `service_id=${offer.service.id}&plan_id=${offer.plan.id}&accepts_incomplete=true`
  return `
  URL         ${url}
  User        ${username}
  Password    ${password}
  KUBECONFIG  ${kubeconfig}

To try it, paste into another shell, line by line:

  osb() { curl -sS -u ${quoted(`${username}:${password}`)} -H 'X-Broker-API-Version: 2.17' -H 'Content-Type: application/json' -X "$1" "${url}/v2/$2" \${3:+-d "$3"}; echo; }

  # what is on offer
  osb GET catalog
  # make a database: service ${offer.service.name}, plan ${offer.plan.name}
  osb PUT 'service_instances/my-db?accepts_incomplete=true' '{${ids},"organization_guid":"me","space_guid":"here"}'
  # is it ready?
  osb GET service_instances/my-db/last_operation
  # look at it in a browser: sign in with the user and the password above
  echo ${url}/dashboard/instances/my-db
  # get credentials, and use them
  uri=$(osb PUT 'service_instances/my-db/service_bindings/me?accepts_incomplete=true' '{${ids}}' | sed 's/.*"uri":"\\([^"]*\\)".*/\\1/')
  psql "$uri" -c 'select version()'
  # give both back
  osb DELETE 'service_instances/my-db/service_bindings/me?${query}'
  osb DELETE 'service_instances/my-db?${query}'
`
}

/** @returns the text as one word of a POSIX shell */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
