/** The committed manifests, against the definitions of Knative and of the gateways themselves. */
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { parseAllDocuments } from 'yaml'
import { routes } from '../../shared/routes.ts'
import { isObject } from '../../shared/values/json.ts'
import { textAt, useCluster } from '../support/cluster.ts'
import { installDefinitions, noDefinitions } from '../support/definitions.ts'

const root = join(import.meta.dirname, '../..')
const cluster = useCluster(test)

interface Manifest {
  file: string
  object: { [key: string]: unknown }
}

async function manifests(): Promise<Manifest[]> {
  const all: Manifest[] = []
  for await (const file of glob('knative/{base,components,namespaces,overlays,plain}/**/[0-9]*.yaml', {
    cwd: root,
  })) {
    for (const document of parseAllDocuments(await readFile(join(root, file), 'utf8'))) {
      const object: unknown = document.toJS()
      if (!isObject(object)) throw new Error(`${file} holds something that is no object`)
      all.push({ file, object })
    }
  }
  return all
}

test.before('install the definitions', () => installDefinitions(cluster))

const plurals: { [kind: string]: string } = {
  Namespace: 'namespaces',
  ServiceAccount: 'serviceaccounts',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: 'validatingadmissionpolicybindings',
  Deployment: 'deployments',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  Service: 'services',
  DomainMapping: 'domainmappings',
  NetworkPolicy: 'networkpolicies',
  HTTPRoute: 'httproutes',
  ReferenceGrant: 'referencegrants',
  VirtualService: 'virtualservices',
  HTTPProxy: 'httpproxies',
  ClusterDomainClaim: 'clusterdomainclaims',
}

test('every manifest passes strict validation', async (t) => {
  if (noDefinitions !== undefined) {
    t.log(`skipped: ${noDefinitions}`)
    t.pass()
    return
  }
  const seen = await manifests()
  t.true(seen.length > 50)
  for (const { file, object } of seen) {
    const { apiVersion, kind, metadata } = object
    const plural = plurals[String(kind)]
    if (!plural || !isObject(metadata)) throw new Error(`${file}: a ${String(kind)} was not expected`)
    const group = String(apiVersion) === 'v1' ? '/api/v1' : `/apis/${String(apiVersion)}`
    const namespaced = metadata.namespace !== undefined
    // Dry runs need a namespace that is there: the file's own pair stands for those of the manifests.
    const namespace = cluster.namespaces.broker
    const dry = namespaced ? { ...object, metadata: { ...metadata, namespace } } : object
    const path = `${group}${namespaced ? `/namespaces/${namespace}` : ''}/${plural}?dryRun=All&fieldValidation=Strict`
    let answer = await cluster.admin('POST', path, dry)
    // A definition may be served a moment after it is established.
    for (let attempt = 0; answer.status === 404 && attempt < 40; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 250))
      answer = await cluster.admin('POST', path, dry)
    }
    t.true([200, 201, 409].includes(answer.status), `${file} ${String(kind)}: ${JSON.stringify(answer.body)}`)
  }
})

test('a field that Knative does not know would have been seen', async (t) => {
  if (noDefinitions !== undefined) {
    t.log(`skipped: ${noDefinitions}`)
    t.pass()
    return
  }
  const service = (await manifests()).find(
    ({ object }) => object.apiVersion === 'serving.knative.dev/v1',
  )?.object
  const namespace = cluster.namespaces.broker
  const path = `/apis/serving.knative.dev/v1/namespaces/${namespace}/services?dryRun=All&fieldValidation=Strict`
  const wrong = {
    ...service,
    metadata: { name: 'wrong', namespace },
    spec: { template: { spec: { lifecycles: {} } } },
  }
  let answer = await cluster.admin('POST', path, wrong)
  for (let attempt = 0; answer.status === 404 && attempt < 40; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 250))
    answer = await cluster.admin('POST', path, wrong)
  }
  t.is(answer.status, 400)
  t.regex(textAt(answer.body, 'message'), /unknown field "spec\.template\.spec\.lifecycles"/)
})

test("the Services keep to what Knative's webhook admits", async (t) => {
  const services = (await manifests()).filter(({ object }) => object.apiVersion === 'serving.knative.dev/v1')
  // The dashboard, of its component, is the eleventh; the edge router the twelfth, and the one that is public.
  t.is(services.length, routes.length + 2)
  for (const { object, file } of services) {
    const edge = file.includes('edge-router')
    const text = JSON.stringify(object)
    for (const refused of [
      'terminationGracePeriodSeconds',
      'restartPolicy',
      'lifecycle',
      'hostPort',
      'nodeName',
      'nodeSelector',
      'tolerations',
      'affinity',
      'initContainers',
      'fieldRef',
      'hostPath',
      'persistentVolumeClaim',
      'periodSeconds',
      'failureThreshold',
      '"automountServiceAccountToken":true',
      'initial-scale":"0"',
    ]) {
      t.false(text.includes(refused), refused)
    }
    const { metadata, spec } = object
    t.is(
      isObject(metadata) && isObject(metadata.labels) && metadata.labels['networking.knative.dev/visibility'],
      edge ? undefined : 'cluster-local',
    )
    t.false(isObject(metadata) && 'annotations' in metadata, 'autoscaling belongs to the template')
    const template = isObject(spec) && isObject(spec.template) ? spec.template : {}
    const pod = isObject(template.spec) ? template.spec : {}
    t.false('securityContext' in pod, 'a pod has no securityContext of its own')
    const seconds = Number(pod.timeoutSeconds)
    t.true(seconds > 35 && seconds <= (edge ? 60 : 59), 'queue-proxy drains 30 s, platforms wait 60')
  }
})
