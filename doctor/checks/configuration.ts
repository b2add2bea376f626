import { ConfigurationError, loadConfig } from '../../shared/environment/config.ts'
import { configurationMap } from '../configuration-map.ts'
import { broken, type Check } from '../examination.ts'

export const configuration: Check = {
  title: 'the configuration is one that functions start with',
  async examine({ ask, broker, databases: [namespace = ''] }) {
    const { name, data } = await configurationMap({ ask, broker })
    try {
      loadConfig({ ...data, BROKER_NAMESPACE: broker, DATABASE_NAMESPACE: namespace })
      return []
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error
      return error.mistakes.map((mistake) =>
        broken(`ConfigMap ${name}: ${mistake}`, 'correct it there; docs/configuration.md has every variable'),
      )
    }
  },
}
