import * as v from 'valibot'
import { mounted } from '../../generate/services.ts'
import { readClient, readSettings } from '../../shared/dashboard/settings.ts'
import { readCookieKey } from '../../shared/dashboard/setup.ts'
import { parseBindingRecord, UnreadableBinding } from '../../shared/kubedb/records/binding-record.ts'
import { decodeKey, isKeyId } from '../../shared/kubedb/records/keys.ts'
import { readUsers } from '../../shared/osb/authentication/users.ts'
import { BrokerError } from '../../shared/values/errors.ts'
import { configurationMap, dashboardName } from '../configuration-map.ts'
import { broken, type Check, type Finding } from '../examination.ts'
import { find } from '../kube.ts'
import { bindingRecordsOf } from '../records.ts'

const Secret = v.object({ data: v.optional(v.record(v.string(), v.string()), {}) })

/** Users, keys, and what the dashboard is given. No value of them is ever shown. */
export const secrets: Check = {
  title: 'users and keys are there, and every binding has its key',
  async examine(examination) {
    const { ask, broker } = examination
    const usersName = mounted.users.volume.secret.secretName
    const keysName = mounted.keys.volume.secret.secretName
    const path = (name: string) => `/api/v1/namespaces/${broker}/secrets/${name}`
    const [users, keys, configuration] = [
      await find(ask, Secret, path(usersName)),
      await find(ask, Secret, path(keysName)),
      await configurationMap(examination),
    ]
    const passwords = configuration.data.AUTHENTICATION !== 'bearer'
    return [
      ...usersFindings(usersName, users?.data, passwords),
      ...keysFindings(keysName, keys?.data),
      ...(await bindingsFindings(examination, keysName, Object.keys(keys?.data ?? {}))),
      ...(configuration.data.DASHBOARD_URL === undefined
        ? []
        : dashboardFindings((await find(ask, Secret, path(dashboardName)))?.data)),
    ]
  },
}

type Data = { [key: string]: string } | undefined

function usersFindings(name: string, data: Data, passwords: boolean): Finding[] {
  const cure = `make the Secret ${name} with the key users.json, as docs/operating.md shows`
  const content = data?.['users.json']
  if (content === undefined)
    return [broken(data ? `the Secret ${name} has no key users.json` : `there is no Secret ${name}`, cure)]
  try {
    readUsers(Buffer.from(content, 'base64').toString('utf8'), 'users.json', { passwords })
    return []
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    return [broken(error.message, cure)]
  }
}

function keysFindings(name: string, data: Data): Finding[] {
  const make = `\`kubectl create secret generic ${name} --from-literal=$(date +%F)="$(openssl rand -base64 32)"\` in the broker's namespace`
  if (!data) return [broken(`there is no Secret ${name}, from which the passwords of bindings come`, make)]
  const ids = Object.keys(data)
  const wrong = ids.filter(
    (id) => !isKeyId(id) || decodeKey(Buffer.from(data[id] ?? '', 'base64').toString('utf8')) === undefined,
  )
  return [
    ...(ids.length === 0 ? [broken(`the Secret ${name} is empty`, make)] : []),
    ...wrong.map((id) =>
      broken(
        `the key ${JSON.stringify(id)} of the Secret ${name} cannot be used: its name must be letters, digits, - and _, its content base64 of at least 16 bytes`,
        'put back what it was; new bindings use the last id in order of names',
      ),
    ),
  ]
}

function dashboardFindings(data: Data): Finding[] {
  const cure = `make the Secret ${dashboardName} with settings.json, client.json and cookie-key, as docs/dashboard.md shows`
  if (!data)
    return [broken(`there is no Secret ${dashboardName}, without which the dashboard does not start`, cure)]
  const text = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString('utf8')
  const reading: { [name: string]: () => unknown } = {
    'settings.json': () => readSettings(text('settings.json'), 'settings.json'),
    'client.json': () => readClient(text('client.json'), 'client.json'),
    'cookie-key': () => readCookieKey(text('cookie-key'), 'cookie-key'),
  }
  return Object.entries(reading).flatMap(([name, read]) => {
    if (data[name] === undefined) return [broken(`the Secret ${dashboardName} has no key ${name}`, cure)]
    try {
      read()
      return []
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return [broken(`the Secret ${dashboardName}: ${error.forOperator}`, cure)]
    }
  })
}

async function bindingsFindings(
  examination: Parameters<Check['examine']>[0],
  name: string,
  ids: readonly string[],
): Promise<Finding[]> {
  const lacking = new Map<string, number>()
  for (const object of (await bindingRecordsOf(examination)) ?? []) {
    try {
      const { keyId } = parseBindingRecord(object).info
      if (!ids.includes(keyId)) lacking.set(keyId, (lacking.get(keyId) ?? 0) + 1)
    } catch (error) {
      // Records that cannot be read are told of elsewhere.
      if (!(error instanceof UnreadableBinding)) throw error
    }
  }
  return [...lacking].map(([id, count]) =>
    broken(
      `${count} ${count === 1 ? 'binding has' : 'bindings have'} a password from the key ${JSON.stringify(id)}, which is not in the Secret ${name}: the credentials cannot be fetched again`,
      'put the key back from a backup; where it is lost, unbind and bind again',
    ),
  )
}
