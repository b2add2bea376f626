/**
 * What `skaffold verify` runs in a pod beside the deployed broker, with the image of development: an instance from
 * provision to deprovision, as a platform asks for it. What it makes it takes away, unless it fails.
 *
 * BROKER_URL   of the broker, without /v2
 * USERS_FILE   users.json, whose first user with a password it is
 */
import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { drive } from './drive.ts'
import { platform } from './platform.ts'
import { counts } from './steps.ts'

const Environment = v.object({ BROKER_URL: v.pipe(v.string(), v.url()), USERS_FILE: v.string() })
const Users = v.array(v.object({ username: v.optional(v.string()), password: v.optional(v.string()) }))

async function verify(): Promise<void> {
  const { BROKER_URL, USERS_FILE } = v.parse(Environment, process.env)
  const users = v.parse(Users, JSON.parse(await readFile(USERS_FILE, 'utf8')))
  for (const { username, password } of users) {
    if (username === undefined || password === undefined) continue
    return drive(platform(BROKER_URL, username, password))
  }
  throw new Error(`${USERS_FILE} has no user with a password`)
}

await verify().catch((error) => {
  // A claim that failed has been said.
  if (counts.failed === 0) console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
console.log(`\n${counts.passed} passed, ${counts.failed} failed`)
