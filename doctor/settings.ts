import { ConfigurationError, loadConfig } from '../shared/environment/config.ts'
import type { Settings } from '../shared/kubedb/databases/database.ts'
import { configurationMap } from './configuration-map.ts'
import type { Examination } from './examination.ts'

/** @returns what the configuration in force says of databases; undefined where no function would start with it */
export async function settingsOf({
  ask,
  broker,
  databases: [namespace = ''],
}: Examination): Promise<Settings | undefined> {
  const { data } = await configurationMap({ ask, broker })
  try {
    return loadConfig({ ...data, BROKER_NAMESPACE: broker, DATABASE_NAMESPACE: namespace }).databases
  } catch (error) {
    if (error instanceof ConfigurationError) return undefined
    throw error
  }
}
