import { hash, timingSafeEqual } from 'node:crypto'
import * as v from 'valibot'
import { BrokerError } from '../errors.ts'
import { mountedFile } from '../mounted-file.ts'
import type { Caller } from '../nouns.ts'
import type { Scheme } from './authentication.ts'

const text = v.pipe(v.string('must be a string'), v.nonEmpty('must not be empty'))
const User = v.object({
  username: v.pipe(
    text,
    v.check((name) => !name.includes(':'), 'must not contain a colon (RFC 7617)'),
  ),
  password: text,
  platform: v.optional(text, 'default'),
})
const UsersFile = v.pipe(v.array(User, 'must be a list of users'), v.nonEmpty('must have at least one user'))

/** A user of the users file. Passwords are only kept as digests. */
export interface User {
  username: Buffer
  password: Buffer
  caller: Caller
}

/**
 * Gives the users in the file as it is now.
 *
 * @throws {BrokerError} Misconfigured, naming the file, the mistakes and the cure, never a value
 */
export type Users = () => Promise<User[]>

/**
 * @param path JSON: `[{"username", "password", "platform"}]`, platform `default` if absent. A username may stand
 *   there twice while its password is being replaced
 */
export function users(path: string): Users {
  const file = mountedFile(path, parseUsers)
  return async function users(): Promise<User[]> {
    try {
      return await file()
    } catch (error) {
      if (error instanceof BrokerError) throw error
      const message = `the users file ${path} cannot be read: mount a Secret with the key users.json there`
      throw new BrokerError('Misconfigured', message, { cause: error })
    }
  }
}

function parseUsers(content: string, path: string): User[] {
  const result = v.safeParse(UsersFile, parseJson(content, path))
  if (!result.success) {
    const mistakes = result.issues.map((issue) => {
      const where = v.getDotPath(issue)
      return where === null
        ? issue.message
        : `${where} ${issue.input === undefined ? 'is missing' : issue.message}`
    })
    throw new BrokerError('Misconfigured', `the users file ${path} is wrong: ${mistakes.join('; ')}`)
  }
  return result.output.map(({ username, password, platform }) => ({
    username: digest(username),
    password: digest(password),
    caller: { name: username, platform },
  }))
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
      for (const user of await users()) {
        const right =
          Number(timingSafeEqual(user.username, username)) & Number(timingSafeEqual(user.password, password))
        caller = right === 1 ? user.caller : caller
      }
      return caller
    },
  }
}
