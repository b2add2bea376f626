/** The broker's records and databases, as they are in the cluster. */
import { AppBinding, Resource } from '../shared/kubedb/cluster/object.ts'
import type { Database } from '../shared/kubedb/databases/database.ts'
import { instanceLabel, recordTypes } from '../shared/kubedb/records/names.ts'
import type { Examination } from './examination.ts'
import { list } from './kube.ts'

type Where = Pick<Examination, 'ask' | 'broker' | 'databases'>

const all = async ({ ask, broker }: Where) =>
  list(ask, AppBinding, `/apis/appcatalog.appscode.com/v1alpha1/namespaces/${broker}/appbindings`)

/** @returns the AppBindings that are instance records; undefined where the cluster serves no AppBindings */
export async function instanceRecordsOf(where: Where): Promise<AppBinding[] | undefined> {
  return (await all(where))?.filter(({ spec }) => spec.type === recordTypes.instance)
}

/** @returns the AppBindings that are binding records; undefined where the cluster serves no AppBindings */
export async function bindingRecordsOf(where: Where): Promise<AppBinding[] | undefined> {
  return (await all(where))?.filter(({ spec }) => spec.type === recordTypes.binding)
}

/** @returns the databases of one kind that the broker has made; undefined where the cluster does not serve the kind */
export async function databasesOf(
  { ask }: Where,
  { apiVersion, plural }: Database,
  namespace: string,
): Promise<Resource[] | undefined> {
  return list(
    ask,
    Resource,
    `/apis/${apiVersion}/namespaces/${namespace}/${plural}?labelSelector=${instanceLabel}`,
  )
}
