/** What telemetry is asked for, whether it runs or not. Types only. */

export type Attributes = { readonly [name: string]: string | number | boolean | undefined }

/** Adds attributes to a span that is under way. */
export type Note = (attributes: Attributes) => void

/** A request as far as telemetry looks at it. */
export interface TracedRequest {
  method: string
  /** without the query */
  path: string
  /** template of the path */
  route: string
  /** function of the route map */
  function: string
  header(name: string): string | undefined
}

export interface Telemetry {
  span<T>(name: string, attributes: Attributes, work: (note: Note) => Promise<T>): Promise<T>
  /** @param work answers the request; gives the status, and the class of the error that led to it, if any */
  request(
    request: TracedRequest,
    work: () => Promise<{ status: number; error: string | undefined }>,
  ): Promise<void>
  /** Sends what has not been sent yet. */
  stop(): Promise<void>
}
