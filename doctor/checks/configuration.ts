import * as v from 'valibot'
import { ConfigurationError, loadConfig } from '../../shared/environment/config.ts'
import { broken, type Check } from '../examination.ts'
import { find } from '../kube.ts'

const ConfigMap = v.object({ data: v.optional(v.record(v.string(), v.string()), {}) })

export const configuration: Check = {
  title: 'the configuration is one that functions start with',
  async examine({ ask, broker, databases: [namespace = ''] }) {
    const found = await find(ask, ConfigMap, `/api/v1/namespaces/${broker}/configmaps/osb-configuration`)
    try {
      loadConfig({ ...found?.data, BROKER_NAMESPACE: broker, DATABASE_NAMESPACE: namespace })
      return []
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error
      return error.mistakes.map((mistake) =>
        broken(
          `ConfigMap osb-configuration: ${mistake}`,
          'correct it there; docs/configuration.md has every variable',
        ),
      )
    }
  },
}
