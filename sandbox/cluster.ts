import { join } from 'node:path'
import type { ControlPlane } from './control-plane/control-plane.ts'
import { startControlPlaneWithKinds } from './control-plane/with-kinds.ts'
import { startOperator } from './operator/operator.ts'

export interface ClusterOptions {
  /** holds everything but the databases; used again at the next start */
  directory: string
  /** holds the databases; for root it must be reachable for the user `nobody` */
  engineHome: string
  /** takes a line for people whenever something takes more than a second */
  progress: (line: string) => void
  /** takes what the operator tells */
  log: (line: string) => void
  /** a file that gets a line for every request of a ServiceAccount */
  auditLog?: string
}

/** A Kubernetes API with KubeDB's kinds, and an operator that makes databases of them. */
export interface Cluster {
  plane: ControlPlane
  /** file: name of a Service → loopback address */
  names: string
  stop(): Promise<void>
}

/**
 * Starts control plane and operator.
 *
 * @throws with a sentence for people; then nothing of it runs any more
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { directory, engineHome, progress, log, auditLog } = options
  const plane = await startControlPlaneWithKinds({
    directory: join(directory, 'control-plane'),
    progress,
    ...(auditLog !== undefined && { auditLog }),
  })
  try {
    const stateDirectory = join(directory, 'operator')
    const operator = await startOperator({ ...plane, engineHome, stateDirectory, log })
    return {
      plane,
      names: join(stateDirectory, 'names.json'),
      async stop() {
        await operator.stop()
        await plane.stop()
      },
    }
  } catch (error) {
    await plane.stop()
    throw error
  }
}
