/** The definitions of Knative and of the gateways, which are beside this checkout where they are at all. */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestCluster } from './cluster.ts'
import { at } from './cluster.ts'

export const definitions = join(import.meta.dirname, '../../../shared/crds')

/** Why tests that need them do not run; undefined where they are there. */
export const noDefinitions = existsSync(definitions)
  ? undefined
  : 'the definitions of Knative and of the gateways are not beside this checkout (../shared/crds)'

/** The kinds that the manifests are of. */
const wanted =
  /^(services\.serving|domainmappings\.serving|clusterdomainclaims|httproutes|referencegrants|virtualservices|httpproxies)\./

/** Installs them, and waits until the API server serves them. */
export async function installDefinitions(cluster: TestCluster): Promise<void> {
  if (noDefinitions !== undefined) return
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  for (const folder of ['knative', 'gateway-api', 'istio', 'contour']) {
    for (const file of (await readdir(join(definitions, folder))).filter((name) => wanted.test(name))) {
      const text = await readFile(join(definitions, folder, file), 'utf8')
      const created = await cluster.admin('POST', path, JSON.parse(text))
      if (created.status !== 201 && created.status !== 409)
        throw new Error(`${file}: ${JSON.stringify(created.body)}`)
      await served(cluster, `${path}/${file.replace(/\.json$/, '')}`)
    }
  }
}

async function served(cluster: TestCluster, path: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const conditions = at((await cluster.admin('GET', path)).body, 'status', 'conditions')
    const established = (Array.isArray(conditions) ? conditions : []).some(
      (one) => at(one, 'type') === 'Established' && at(one, 'status') === 'True',
    )
    if (established) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${path} is not served`)
}
