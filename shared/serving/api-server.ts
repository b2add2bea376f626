import { fromConfig } from '../environment/config.ts'
import { connect } from '../kubedb/cluster/connection.ts'

/** @returns the process's one way to the API server, opened at its first request */
export const apiServer = fromConfig((config) =>
  connect({ ...config.apiServer, serviceAccountDirectory: config.serviceAccountDirectory }),
)
