/** The connection to the search server, and which product it is. */
import * as v from 'valibot'
import { type Admin, Unreachable } from '../../database.ts'
import { HttpClient } from '../http-client/client.ts'
import { unreachable } from '../http-client/failure.ts'

/** milliseconds */
const connectTimeout = 5000

/** What it is called in sentences. */
export const server = 'the search server'

/** Which product the server is. */
export type Product = 'OpenSearch' | 'Elasticsearch'

const Face = v.looseObject({
  version: v.looseObject({ number: v.string(), distribution: v.optional(v.string()) }),
  tagline: v.optional(v.string(), ''),
})

/**
 * Asks the server what it is, within five seconds and by the deadline.
 *
 * @throws {Unreachable} when that fails, saying why
 */
export async function open(
  admin: Admin,
  encrypted: boolean,
): Promise<{ client: HttpClient; product: Product }> {
  const { host, port } = admin
  const client = new HttpClient(admin, { server, host, port, encrypted })
  try {
    const face = await client.ask(Face, 'GET', '/', { timeout: connectTimeout })
    const isOpenSearch = face.version.distribution === 'opensearch' || /OpenSearch/.test(face.tagline)
    return { client, product: isOpenSearch ? 'OpenSearch' : 'Elasticsearch' }
  } catch (error) {
    client.close()
    if (error instanceof v.ValiError) {
      throw new Unreachable(`what answers at ${host} is neither OpenSearch nor Elasticsearch`)
    }
    throw unreachable(server, error, admin)
  }
}
