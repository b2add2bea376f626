/**
 * The part of the web's Headers and Response that Hono needs. Node's own bring all of fetch with them, and that is as
 * much CPU time as everything else in the start of a function together.
 */

type Pairs = Iterable<readonly [string, string]>

/** Names in any case; kept in lower case. */
export class LightHeaders implements Iterable<[string, string]> {
  readonly #values = new Map<string, string>()

  constructor(init: Pairs | Readonly<Record<string, string>> = {}) {
    const pairs = Symbol.iterator in init ? init : Object.entries(init)
    for (const [name, value] of pairs) this.append(name, value)
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase())
  }

  set(name: string, value: string): void {
    this.#values.set(name.toLowerCase(), value)
  }

  append(name: string, value: string): void {
    const before = this.get(name)
    this.set(name, before === null ? value : `${before}, ${value}`)
  }

  delete(name: string): void {
    this.#values.delete(name.toLowerCase())
  }

  entries(): IterableIterator<[string, string]> {
    return this.#values.entries()
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries()
  }
}

/** A whole body, no stream. */
export class LightResponse {
  readonly body: string | null
  readonly bodyUsed = false
  readonly status: number
  readonly headers: LightHeaders

  constructor(
    body: string | null = null,
    { status = 200, headers }: { status?: number; headers?: Pairs | Readonly<Record<string, string>> } = {},
  ) {
    this.body = body
    this.status = status
    this.headers = new LightHeaders(headers)
  }
}

/** From now on, `new Response` and `new Headers` in this process are these. */
export function useLightResponses(): void {
  // Setting them is free; to define them as properties would read those of Node first, and that loads them.
  Object.assign(globalThis, { Response: LightResponse, Headers: LightHeaders })
}
