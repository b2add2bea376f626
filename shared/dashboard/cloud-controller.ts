/** Whether a person of a Cloud Foundry may see an instance: its Cloud Controller says so. */
import * as v from 'valibot'
import { BrokerError } from '../values/errors.ts'
import { ask, type ProviderResponse } from './request.ts'

const Permissions = v.object({ read: v.boolean() })

/**
 * Cloud Foundry API v3, "Get permissions for a service instance".
 *
 * @param token of the person, with the scope `cloud_controller_service_permissions.read`
 * @returns whether that person may read the instance; not where Cloud Controller knows no such instance
 * @throws {BrokerError} Unavailable where it does not say
 */
export async function cloudControllerAllows(
  api: string,
  instanceId: string,
  token: string,
): Promise<boolean> {
  const url = `${api.replace(/\/+$/, '')}/v3/service_instances/${encodeURIComponent(instanceId)}/permissions`
  const silent = (cause: unknown) =>
    new BrokerError(
      'Unavailable',
      'Cloud Controller does not say just now whether you may see this instance',
      {
        cause,
      },
    )
  let answer: ProviderResponse
  try {
    answer = await ask(url, {
      method: 'GET',
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
    })
  } catch (error) {
    throw silent(error)
  }
  if (answer.status >= 500 || answer.status === 429) throw silent(new Error(`HTTP ${answer.status}`))
  if (answer.status !== 200) return false
  try {
    return v.parse(Permissions, await answer.json()).read
  } catch (error) {
    throw silent(error)
  }
}
