/** An application of the database: psql, in a pod beside it. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { defaultNamespaces } from '../generate/rbac.ts'
import { apply, kubectl } from './kubectl.ts'
import { check } from './steps.ts'

const { databases } = defaultNamespaces

/**
 * Runs psql in a pod, as an application would.
 *
 * @param image has psql
 * @returns what it printed
 * @throws with what psql said
 */
export async function psql(image: string, uri: string, sql: string): Promise<string> {
  const name = `psql-${randomUUID().slice(0, 8)}`
  await apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: databases },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'psql',
          image: image,
          command: ['psql', '-v', 'ON_ERROR_STOP=1', '-At', '-c', sql, uri],
          env: [{ name: 'PGCONNECT_TIMEOUT', value: '10' }],
        },
      ],
    },
  })
  try {
    for (const end = Date.now() + 90_000; ; await delay(500)) {
      const phase = await kubectl(['get', 'pod', name, '-n', databases, '-o', 'jsonpath={.status.phase}'])
      if (phase === 'Succeeded') return (await kubectl(['logs', name, '-n', databases])).trim()
      if (phase === 'Failed')
        throw new Error(`psql: ${(await kubectl(['logs', name, '-n', databases])).trim()}`)
      check(Date.now() < end, `the pod with psql is ${phase} after 90 seconds`)
    }
  } finally {
    await kubectl(['delete', 'pod', name, '-n', databases, '--wait=false'])
  }
}
