/**
 * Checks a cluster against the catalog of the broker: `npm run doctor`, or `node doctor/index.js` in the image.
 *
 * Usage: [--namespace <of the broker>] [--databases <namespace>,…] [--catalog <file>] [--repair]
 *
 * Exit code: 0 nothing is broken, 1 something is, 2 it could not be looked at.
 */
import { parseArgs } from 'node:util'
import { defaultNamespaces } from '../generate/rbac.ts'
import { servicesIn } from './catalog.ts'
import { examine } from './doctor.ts'
import { ambientCluster } from './kube.ts'

async function run(): Promise<number> {
  const { values } = parseArgs({
    options: {
      namespace: { type: 'string', default: process.env.BROKER_NAMESPACE ?? defaultNamespaces.broker },
      databases: { type: 'string', default: process.env.DATABASE_NAMESPACE ?? defaultNamespaces.databases },
      catalog: { type: 'string' },
      repair: { type: 'boolean', default: false },
    },
  })
  const ask = ambientCluster()
  const services = await servicesIn(ask, values.namespace, values.catalog)
  const databases = values.databases.split(',').filter((name) => name !== '')
  const left = await examine(
    { ask, broker: values.namespace, databases, services },
    { repair: values.repair, say: (line) => console.log(line) },
  )
  const broken = left.filter(({ severity }) => severity === 'broken').length
  console.log(`\n${broken} broken, ${left.length - broken} doubtful`)
  return broken > 0 ? 1 : 0
}

try {
  process.exitCode = await run()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
