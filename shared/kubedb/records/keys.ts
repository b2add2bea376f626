import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BrokerError } from '../../values/errors.ts'

/**
 * The broker's keys: one file each in a mounted Secret, the file's name being the key's id, its content base64 of at
 * least 16 random bytes. The last id in order of names is used for new bindings.
 */
export interface Keys {
  /** @throws {BrokerError} Misconfigured when there is no usable key */
  newest(): Promise<string>
  /** @throws {BrokerError} Misconfigured when the key of that id is not there */
  get(id: string): Promise<Uint8Array>
}

const keyId = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/

/** @returns whether a file of the Secret may be a key; Kubernetes puts others beside them */
export const isKeyId = (name: string) => keyId.test(name)

/** @returns the key that a file holds, undefined where it is shorter than 16 bytes of base64 */
export function decodeKey(text: string): Uint8Array | undefined {
  const key = Buffer.from(text.trim(), 'base64')
  return key.length < 16 ? undefined : key
}

/** @param directory where the Secret is mounted; read at every use, so that a new key is seen at once */
export function keysIn(directory: string): Keys {
  return {
    async newest() {
      let names: string[]
      try {
        names = readdirSync(directory)
      } catch (error) {
        throw new BrokerError(
          'Misconfigured',
          'the broker has no keys for passwords: its keys Secret is not mounted (KEYS_DIRECTORY)',
          { cause: error },
        )
      }
      const newest = names.filter(isKeyId).sort().at(-1)
      if (newest === undefined) {
        throw new BrokerError(
          'Misconfigured',
          'the broker has no keys for passwords: its keys Secret is empty',
        )
      }
      return newest
    },

    async get(id) {
      const missing = (why: string, cause?: unknown) =>
        new BrokerError(
          'Misconfigured',
          `the broker's key ${JSON.stringify(id)}, from which this binding's password comes, ${why}; put it back into the keys Secret, or unbind and bind again`,
          { cause },
        )
      if (!isKeyId(id)) throw missing('has an impossible name')
      let text: string
      try {
        text = readFileSync(join(directory, id), 'utf8')
      } catch (error) {
        throw missing('is not there', error)
      }
      const key = decodeKey(text)
      if (!key) throw missing('is shorter than 16 bytes of base64')
      return key
    },
  }
}
