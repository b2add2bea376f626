import { isObject, type Json } from '../../shared/values/json.ts'
import { at, objectIn, type TestCluster, textAt } from './cluster.ts'

const twoHours = 2 * 60 * 60 * 1000

/** Makes a record look as if everything in it had happened two hours earlier. */
export async function twoHoursPass(cluster: TestCluster, record: string): Promise<void> {
  await timePasses(cluster, record, twoHours)
}

/**
 * Makes a record look as if everything in it had happened earlier.
 *
 * @param record name of an instance record or a binding record
 * @param by milliseconds
 */
export async function timePasses(cluster: TestCluster, record: string, by: number): Promise<void> {
  const path = `${cluster.recordsPath()}/${record}`
  const { body } = await cluster.admin('GET', path)
  const found = at(body, 'metadata', 'annotations')
  if (!isObject(found)) throw new Error(`no record ${record}`)
  const annotations = Object.keys(found).map((name) => [
    name,
    JSON.stringify(earlier(objectIn(textAt(found, name)), by)),
  ])
  const { status, text } = await cluster.admin(
    'PATCH',
    path,
    { metadata: { annotations: Object.fromEntries(annotations) } },
    'application/merge-patch+json',
  )
  if (status !== 200) throw new Error(`record ${record}: ${status} ${text}`)
}

function earlier(value: Json, by: number): Json {
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) {
    return new Date(Date.parse(value) - by).toISOString()
  }
  if (Array.isArray(value)) return value.map((inner) => earlier(inner, by))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, earlier(inner, by)]))
}
