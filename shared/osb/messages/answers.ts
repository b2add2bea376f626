/** The status codes of success, by name. */
export const Status = { OK: 200, Created: 201, Accepted: 202, Gone: 410 } as const

/** @returns the header that says when to poll next, in seconds (OSB: Polling Interval and Duration) */
export function retryAfter(seconds: number): { 'Retry-After': string } {
  return { 'Retry-After': String(seconds) }
}

/**
 * The member of an answer that names a page about the instance, where there is one (OSB: dashboard_url).
 *
 * @param config of a broker that may have a dashboard
 * @param recorded what the plan had, where the broker has none
 */
export function dashboard(
  { dashboard: { url } }: { dashboard: { url: string | undefined } },
  instanceId: string,
  recorded: string | undefined,
): { dashboard_url?: string } {
  const page = url === undefined ? recorded : `${url}/dashboard/instances/${encodeURIComponent(instanceId)}`
  return page === undefined ? {} : { dashboard_url: page }
}
