/**
 * KubeDB's stand-in for the cluster of KUBECONFIG, until Ctrl-C: `npm run sandbox-operator`. The API server has to run on
 * this machine. Databases and their data are in .sandbox/cluster and survive a restart.
 *
 * --host-address IP   where pods find this machine; by default the API server's
 */
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hostAddress } from './host-address.ts'
import { startSandboxOperator } from './sandbox-operator.ts'

async function serve(): Promise<void> {
  const { values } = parseArgs({ options: { 'host-address': { type: 'string' } } })
  const address = await hostAddress(values['host-address'])
  const directory = join(import.meta.dirname, '../.sandbox/cluster')
  await mkdir(directory, { recursive: true, mode: 0o755 })
  const operator = await startSandboxOperator(directory, address, (line) => console.log(line))
  console.log('KubeDB is played by this process. Ctrl-C ends it; what it has made stays in the cluster.')
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  await operator.stop()
}

await serve().then(
  () => process.exit(),
  (error) => {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  },
)
