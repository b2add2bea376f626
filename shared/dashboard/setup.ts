/** All that the dashboard itself is given by its operator. */
import { join } from 'node:path'
import { type Config, fromConfig } from '../environment/config.ts'
import { mountedFile } from '../environment/mounted-file.ts'
import { decodeKey } from '../kubedb/records/keys.ts'
import { CookieKey } from './cookies.ts'
import { mistaken, type Registration, reading, readRegistration } from './settings.ts'

/** Everything that the folder says, as it is now. */
export interface Setup extends Registration {
  key: CookieKey
}

const keyFile = fromConfig(({ dashboard: { directory } }) =>
  mountedFile(join(directory, 'cookie-key'), readCookieKey),
)

/**
 * @param path for the error
 * @throws {BrokerError} Misconfigured; `forOperator` says what has to be corrected
 */
export function readCookieKey(text: string, path: string): CookieKey {
  const bytes = decodeKey(text)
  if (bytes) return new CookieKey(bytes)
  throw mistaken(path, 'it must be at least 16 bytes as base64, such as `openssl rand -base64 32` prints')
}

/**
 * @returns the set-up as it is mounted just now; a changed file is read again
 * @throws {BrokerError} Misconfigured; the log says what has to be corrected
 */
export async function readSetup(config: Config): Promise<Setup> {
  return { ...(await readRegistration(config)), key: await reading(config, () => keyFile(config)()) }
}
