import type { JsonObject } from '../../values/json.ts'

/** What a platform is told of a binding (OSB: Binding, Fetching a Service Binding). */
export interface BindingAnswer {
  credentials: JsonObject
  metadata?: { expires_at: string; renew_before: string }
  endpoints?: { host: string; ports: string[]; protocol: 'tcp' }[]
  parameters?: JsonObject
}

/**
 * @param reach where the database listens
 * @param endpoints whether to list them: some platforms' clients cannot read the ports, which are strings
 */
export function bindingAnswer(
  bound: {
    info: { expiresAt?: string | undefined; renewBefore?: string | undefined }
    credentials: JsonObject
    reach: { hosts: string[]; port: number }
  },
  endpoints: boolean,
): BindingAnswer {
  const { info, credentials, reach } = bound
  const { expiresAt, renewBefore } = info
  return {
    credentials,
    ...(expiresAt === undefined || renewBefore === undefined
      ? {}
      : { metadata: { expires_at: expiresAt, renew_before: renewBefore } }),
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
