import { hash, timingSafeEqual } from 'node:crypto'
import * as v from 'valibot'
import { mountedFile } from '../../environment/mounted-file.ts'
import { BrokerError } from '../../values/errors.ts'
import type { Caller } from '../../values/nouns.ts'
import type { Scheme } from './authentication.ts'

/** All callers for whom no other is named. */
export const defaultPlatform = 'default'

const text = v.pipe(v.string('must be a string'), v.nonEmpty('must not be empty'))
const User = v.object({
  username: v.pipe(
    text,
    v.check((name) => !name.includes(':'), 'must not contain a colon (RFC 7617)'),
  ),
  password: text,
  platform: v.optional(text, defaultPlatform),
})
const TokenOwner = v.object({ tokensOf: text, platform: text })
const Entry = v.lazy((input) =>
  typeof input === 'object' && input !== null && 'tokensOf' in input ? TokenOwner : User,
)
const list = v.array(Entry, 'must be a list of users')
const UsersFile = {
  passwords: v.pipe(
    list,
    v.check((entries) => entries.some((entry) => 'password' in entry), 'must have at least one user'),
  ),
  tokens: list,
}

/** A user of the users file. Passwords are only kept as digests. */
export interface User {
  username: Buffer
  password: Buffer
  caller: Caller
}

/** Who may call with a password, and which platform the owners of tokens belong to. */
export interface KnownUsers {
  passwords: User[]
  /** by the name under which the API server knows the owner */
  platforms: ReadonlyMap<string, string>
}

/**
 * Gives the users in the file as it is now.
 *
 * @throws {BrokerError} Misconfigured, naming the file, the mistakes and the cure, never a value
 */
export type Users = () => Promise<KnownUsers>

/**
 * @param path JSON: `[{"username", "password", "platform"}]`, platform `default` if absent. A username may stand
 *   there twice while its password is being replaced. `{"tokensOf", "platform"}` names the platform of a token's owner
 * @param options.passwords whether somebody has to be in it who can call with a password
 */
export function users(path: string, { passwords }: { passwords: boolean } = { passwords: true }): Users {
  const file = mountedFile(path, (content) => readUsers(content, path, { passwords }))
  return async function users(): Promise<KnownUsers> {
    try {
      return await file()
    } catch (error) {
      if (error instanceof BrokerError) throw error
      const message = `the users file ${path} cannot be read: mount a Secret with the key users.json there`
      throw new BrokerError('Misconfigured', message, { cause: error })
    }
  }
}

/**
 * @param content of the users file
 * @param path for the sentence that says what is wrong
 * @throws {BrokerError} Misconfigured, naming the file and the mistakes, never a value
 */
export function readUsers(content: string, path: string, options: { passwords: boolean }): KnownUsers {
  const schema = options.passwords ? UsersFile.passwords : UsersFile.tokens
  const result = v.safeParse(schema, parseJson(content, path))
  if (!result.success) {
    const mistakes = result.issues.map((issue) => {
      const where = v.getDotPath(issue)
      return where === null
        ? issue.message
        : `${where} ${issue.input === undefined ? 'is missing' : issue.message}`
    })
    throw new BrokerError('Misconfigured', `the users file ${path} is wrong: ${mistakes.join('; ')}`)
  }
  const known = { passwords: [] as User[], platforms: new Map<string, string>() }
  for (const entry of result.output) {
    if ('tokensOf' in entry) {
      known.platforms.set(entry.tokensOf, entry.platform)
    } else {
      const { username, password, platform } = entry
      const caller = { name: username, platform }
      known.passwords.push({ username: digest(username), password: digest(password), caller })
    }
  }
  return known
}

/** The error of JSON.parse would quote the file. */
function parseJson(content: string, path: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    throw new BrokerError('Misconfigured', `the users file ${path} is wrong: it must be JSON`)
  }
}

function digest(value: string): Buffer {
  return hash('sha256', value, 'buffer')
}

/**
 * HTTP Basic (RFC 7617). Compares with every user, over digests and in constant time, so that the time taken tells
 * neither which part was wrong nor which users there are.
 */
export function basic(users: Users): Scheme {
  return {
    name: 'Basic',
    challenge: 'Basic realm="KubeDB Service Broker", charset="UTF-8"',
    async authenticate(credentials) {
      const decoded = Buffer.from(credentials, 'base64').toString('utf8')
      const colon = decoded.indexOf(':')
      const username = digest(decoded.slice(0, Math.max(colon, 0)))
      const password = digest(decoded.slice(colon + 1))
      let caller: Caller | undefined
      for (const user of (await users()).passwords) {
        const right =
          Number(timingSafeEqual(user.username, username)) & Number(timingSafeEqual(user.password, password))
        caller = right === 1 ? user.caller : caller
      }
      return caller
    },
  }
}
