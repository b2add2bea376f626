import type { Adapter, AdapterPayload } from 'oidc-provider'

/** What the provider remembers, of all its kinds of things. It ends with the process. */
const kept = new Map<string, AdapterPayload>()

/** The provider's store, in memory. What has run out is told by `exp` in it. */
export class Memory implements Adapter {
  readonly #kind: string

  constructor(kind: string) {
    this.#kind = kind
  }

  async upsert(id: string, payload: AdapterPayload): Promise<void> {
    kept.set(this.#key(id), payload)
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    return kept.get(this.#key(id))
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#search((payload) => payload.uid === uid)
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#search((payload) => payload.userCode === userCode)
  }

  async consume(id: string): Promise<void> {
    const payload = kept.get(this.#key(id))
    if (payload) payload.consumed = Math.floor(Date.now() / 1000)
  }

  async destroy(id: string): Promise<void> {
    kept.delete(this.#key(id))
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, payload] of kept) if (payload.grantId === grantId) kept.delete(key)
  }

  #key(id: string): string {
    return `${this.#kind} ${id}`
  }

  #search(is: (payload: AdapterPayload) => boolean): AdapterPayload | undefined {
    for (const [key, payload] of kept) if (key.startsWith(`${this.#kind} `) && is(payload)) return payload
    return undefined
  }
}
