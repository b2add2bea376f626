/** The status codes of success, by name. */
export const Status = { OK: 200, Created: 201, Accepted: 202, Gone: 410 } as const

/** @returns the header that says when to poll next, in seconds (OSB: Polling Interval and Duration) */
export function retryAfter(seconds: number): { 'Retry-After': string } {
  return { 'Retry-After': String(seconds) }
}

/** @returns the member of an answer that names a page about the instance, where there is one (OSB: dashboard_url) */
export function dashboard(url: string | undefined): { dashboard_url?: string } {
  return url === undefined ? {} : { dashboard_url: url }
}
