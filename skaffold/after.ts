/**
 * What Skaffold runs after it has deployed: waits for Knative's Services, or for the Deployments, and ends with 1 where
 * one fails. Skaffold's own check knows no Services of Knative, and ends a run at the first pull of an image that fails,
 * which with eleven pods at once a kubelet does of itself ("pull QPS exceeded"). Then it says how the broker is used.
 */
import * as v from 'valibot'
import { get, serves } from '../e2e/kubectl.ts'
import { untilReady } from '../e2e/readiness.ts'
import { defaultNamespaces } from '../generate/rbac.ts'
import { mounted } from '../generate/services.ts'
import { edgeRouter } from '../shared/routes.ts'

const { broker } = defaultNamespaces
const users = mounted.users.volume.secret.secretName
const port = 8080

/**
 * Those of this run alone: others may be served in the namespace.
 *
 * @param patience in seconds, with what is said to fail
 */
async function waitFor(run: string, kinds: readonly string[], patience: number): Promise<number> {
  const begun = performance.now()
  return untilReady({
    namespace: broker,
    kinds,
    selector: `skaffold.dev/run-id=${run}`,
    patience,
    onReady: (object) =>
      console.log(`${object} is ready after ${((performance.now() - begun) / 1000).toFixed(1)} s.`),
  })
}

/** A password stays in its Secret: what Skaffold prints is kept in many a place. */
async function instructions(service: string): Promise<string> {
  const { data } = await get(v.object({ data: v.record(v.string(), v.string()) }), [
    'secret',
    users,
    '-n',
    broker,
  ])
  const content = Buffer.from(data['users.json'] ?? '', 'base64').toString('utf8')
  const list = v.parse(v.array(v.object({ username: v.optional(v.string()) })), JSON.parse(content))
  const user = list.find(({ username }) => username !== undefined)?.username ?? 'USER'
  return `
  URL         http://127.0.0.1:${port} while \`skaffold dev\` runs; without it, as long as this does:
              kubectl port-forward -n ${broker} service/${service} ${port}:80
  User        ${user}
  Password    in users.json of the Secret ${users}

To try it, paste into another shell:

  password=$(kubectl get secret ${users} -n ${broker} -o 'jsonpath={.data.users\\.json}' | base64 -d | sed 's/.*"username":"${user}","password":"\\([^"]*\\)".*/\\1/')
  osb() { curl -sS -u "${user}:$password" -H 'X-Broker-API-Version: 2.17' -H 'Content-Type: application/json' -X "$1" "http://127.0.0.1:${port}/v2/$2" \${3:+-d "$3"}; echo; }
  osb GET catalog
`
}

async function finish(): Promise<void> {
  const run = process.env.SKAFFOLD_RUN_ID
  if (!run) throw new Error('SKAFFOLD_RUN_ID is missing: this is for Skaffold to run')
  // The profile without Knative is for clusters that have it too: then none of its Services are of this run.
  const onKnative =
    (await serves('serving.knative.dev/v1')) && (await waitFor(run, ['services.serving.knative.dev'], 5)) > 0
  // A kubelet pulls again 10 s after a failure.
  if (!onKnative) await waitFor(run, ['deployments.apps', 'pods'], 15)
  console.log(await instructions(onKnative ? 'osb-development' : `osb-${edgeRouter}`))
}

await finish().catch((error) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
