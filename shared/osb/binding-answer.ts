import type { JsonObject } from '../json.ts'

/** What a platform is told of a binding (OSB: Binding, Fetching a Service Binding). */
export interface BindingAnswer {
  credentials: JsonObject
  endpoints?: { host: string; ports: string[]; protocol: 'tcp' }[]
  parameters?: JsonObject
}

/**
 * @param reach where the database listens
 * @param endpoints whether to list them: some platforms' clients cannot read the ports, which are strings
 */
export function bindingAnswer(
  bound: { credentials: JsonObject; reach: { hosts: string[]; port: number } },
  endpoints: boolean,
): BindingAnswer {
  const { credentials, reach } = bound
  return {
    credentials,
    ...(endpoints
      ? {
          endpoints: reach.hosts.map((host) => ({
            host,
            ports: [String(reach.port)],
            protocol: 'tcp' as const,
          })),
        }
      : {}),
  }
}
