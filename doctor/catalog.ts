import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { kinds } from '../shared/kubedb/databases/kinds.ts'
import { catalogOf, type Service } from '../shared/osb/catalog/catalog.ts'
import { readCatalogYaml } from '../shared/osb/catalog/yaml.ts'
import { type Ask, find } from './kube.ts'

const ConfigMap = v.object({ data: v.optional(v.record(v.string(), v.string()), {}) })

/**
 * @param file the catalog to look at; undefined: the one in the cluster
 * @returns its services
 * @throws {BrokerError} naming every mistake in it; an Error where there is none
 */
export async function servicesIn(
  ask: Ask,
  broker: string,
  file: string | undefined,
): Promise<readonly Service[]> {
  const text = file === undefined ? await mounted(ask, broker) : await readFile(file, 'utf8')
  return catalogOf(readCatalogYaml(text, kinds), kinds).services
}

async function mounted(ask: Ask, broker: string): Promise<string> {
  const found = await find(ask, ConfigMap, `/api/v1/namespaces/${broker}/configmaps/osb-catalog`)
  const text = found?.data['catalog.yaml']
  if (text !== undefined) return text
  throw new Error(
    `there is no ConfigMap osb-catalog with a catalog.yaml in namespace ${broker}: apply knative/, name the namespace with --namespace, or a file with --catalog`,
  )
}
