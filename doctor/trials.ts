/** What plans are tried with: the least and the most that a user may ask for, and each version. Pure. */

import type { Draft } from '../shared/kubedb/cluster/cluster.ts'
import type { Database, Settings } from '../shared/kubedb/databases/database.ts'
import { draftDatabase } from '../shared/kubedb/instances/database-draft.ts'
import { targetOf } from '../shared/kubedb/instances/target.ts'
import { databaseOf } from '../shared/kubedb/records/instance-record.ts'
import { BrokerError } from '../shared/values/errors.ts'
import type { Parameters, Plan, Setting } from '../shared/values/nouns.ts'

export interface Trial {
  /** with what, as the end of a sentence */
  words: string
  draft: Draft
}

/**
 * @param id of an instance that there is not
 * @param namespace of databases
 * @returns the databases that the broker would make
 * @throws {BrokerError} where plan and parameters do not go together
 */
export function trialsOf(
  plan: Plan,
  kind: Database,
  id: string,
  namespace: string,
  settings: Settings,
): Trial[] {
  const draft = (parameters: Parameters): Draft => {
    const version = parameters.version ?? plan.version
    const target = targetOf(
      { plan, kind, sent: {}, checked: parameters, version, maintenance: plan.maintenanceVersion },
      { ...settings, instance: id },
    )
    return draftDatabase(kind, {
      info: {
        v: 1,
        instanceId: id,
        serviceId: plan.serviceId,
        organizationGuid: 'doctor',
        spaceGuid: 'doctor',
        context: {},
        request: '',
        created: '',
        platform: 'doctor',
        createdBy: '',
        ...target,
      },
      operation: { v: 1, type: 'provision', id: '', state: 'in progress', started: '', description: '' },
      database: databaseOf(kind, namespace, id),
      uid: '',
      resourceVersion: '',
    })
  }
  const versions = (plan.parameters.version?.enum ?? []).filter((version) => version !== plan.version)
  return [
    {
      words: 'with the least that may be asked for',
      draft: draft(asMuchAs(draft, offered(plan, kind, 'min'))),
    },
    {
      words: 'with the most that may be asked for',
      draft: draft(asMuchAs(draft, offered(plan, kind, 'max'))),
    },
    ...versions.map((version) => ({ words: `with version ${version}`, draft: draft({ version }) })),
  ]
}

/** Not all that a plan offers goes together: in a custom plan much depends on the raw spec that is sent with it. */
function asMuchAs(draft: (parameters: Parameters) => Draft, offers: readonly Parameters[]): Parameters {
  const fits = (parameters: Parameters) => {
    try {
      draft(parameters)
      return true
    } catch (error) {
      if (error instanceof BrokerError) return false
      throw error
    }
  }
  let taken: Parameters = {}
  for (const offer of offers) {
    const more = { ...taken, ...offer }
    // What is needed comes first; once there is enough, only what goes with it.
    if (!fits(taken) || fits(more)) taken = more
  }
  return taken
}

function offered({ parameters }: Plan, kind: Database, end: 'min' | 'max'): Parameters[] {
  const { storage, cpu, memory, replicas, shards, storageClass, tls, configuration } = parameters
  const most = end === 'max'
  const lastClass = most ? storageClass?.enum.at(-1) : undefined
  const [issuer] = most ? Object.keys(tls?.issuers ?? {}) : []
  return [
    storage ? { storage: storage[end] } : [],
    lastClass === undefined ? [] : { storageClass: lastClass },
    cpu ? { cpu: cpu[end] } : [],
    memory ? { memory: memory[end] } : [],
    shards ? { shards: shards[end] } : [],
    replicas ? { replicas: replicas[end] } : [],
    issuer === undefined ? [] : { tls: issuer },
    configuration ? { configuration: settingsAt(kind, end) } : [],
  ].flat()
}

/** Settings that are numbers or switches; what texts a setting takes, only its pattern knows. */
function settingsAt({ settings }: Database, which: 'min' | 'max'): { [name: string]: number | boolean } {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, setting]) => {
      const value = valueAt(setting, which)
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function valueAt(setting: Setting, which: 'min' | 'max'): number | boolean | undefined {
  switch (setting.type) {
    case 'boolean':
      return which === 'max'
    case 'integer':
    case 'number':
      return setting[which]
    case 'string':
      return undefined
  }
}
