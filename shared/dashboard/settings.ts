/**
 * What the operator says about the dashboard: a folder with `settings.json` and `client.json` (how this function is known
 * to the provider of sign-ins). setup.ts has its `cookie-key`: the catalog, which reads these too, has no business with it.
 */
import * as v from 'valibot'
import { type Config, fromConfig } from '../environment/config.ts'
import { mountedFile } from '../environment/mounted-file.ts'
import { BrokerError } from '../values/errors.ts'

/** This machine: what goes there is seen by nobody else. */
const here = /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/** Secrets and tokens go there. */
const url = v.pipe(
  v.string('must be a URL'),
  v.check((text) => {
    if (!URL.canParse(text)) return false
    const { protocol, hostname, username, password } = new URL(text)
    return (
      (protocol === 'https:' || (protocol === 'http:' && here.test(hostname))) &&
      username === '' &&
      password === ''
    )
  }, 'must be a URL of https (or of http on this machine itself, such as http://127.0.0.1:8081), without a user'),
)

const ids = v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.minLength(1, 'must name at least one'))

/** Who has one of these values in this claim may see these instances. */
const Rule = v.pipe(
  v.strictObject({
    claim: v.pipe(v.string(), v.nonEmpty()),
    values: ids,
    organizations: v.exactOptional(ids),
    spaces: v.exactOptional(ids),
    /** where the platform is a Kubernetes: the namespaces of its service instances */
    namespaces: v.exactOptional(ids),
    everything: v.exactOptional(v.literal(true)),
    /** of the users file: only instances that this platform has made */
    platform: v.exactOptional(v.string()),
  }),
  v.check(
    ({ organizations, spaces, namespaces, everything }) =>
      [organizations, spaces, namespaces, everything].some((one) => one !== undefined),
    'must say what may be seen: organizations, spaces, namespaces or everything',
  ),
)
export type Rule = v.InferOutput<typeof Rule>

/** `{name}`, `{namespace}` and `{instance}` stand for those of the database. */
const template = v.pipe(
  v.string(),
  v.check(
    (text) =>
      [...text.matchAll(/\{([^{}]*)\}/g)].every(([, name = '']) => /^(name|namespace|instance)$/.test(name)),
    'may have the placeholders {name}, {namespace} and {instance} only',
  ),
)
const title = v.pipe(v.string(), v.nonEmpty(), v.maxLength(80))

const Settings = v.pipe(
  v.strictObject({
    issuer: url,
    scopes: v.exactOptional(ids),
    sessionMinutes: v.exactOptional(
      v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(720, 'must be 12 hours at most')),
      15,
    ),
    rules: v.exactOptional(v.array(Rule)),
    cloudController: v.exactOptional(url),
    links: v.exactOptional(
      v.array(
        v.strictObject({
          title,
          url: v.pipe(
            template,
            v.regex(/^https?:\/\/[^/?#{}@\\\s]+([/?#][^\s\\]*)?$/, 'must be a URL of http or https'),
          ),
        }),
      ),
      [],
    ),
    commands: v.exactOptional(v.array(v.strictObject({ title, command: template })), []),
  }),
  v.check(
    ({ rules, cloudController }) => (rules === undefined) !== (cloudController === undefined),
    'must have either rules or cloudController, which say who may see what',
  ),
)
export type Settings = v.InferOutput<typeof Settings>

const Client = v.strictObject({
  id: v.pipe(v.string(), v.nonEmpty()),
  secret: v.pipe(v.string(), v.nonEmpty()),
})
export type Client = v.InferOutput<typeof Client>

/** What a platform is to know of the dashboard. */
export interface Registration {
  settings: Settings
  client: Client
  /** what the dashboard's own addresses begin with, without a slash at the end */
  base: string
}

// By themselves, without node:path: whatever is shared with the catalog alone is a file more for others to read.
const files = fromConfig(({ dashboard: { directory } }) => ({
  settings: mountedFile(`${directory}/settings.json`, readSettings),
  client: mountedFile(`${directory}/client.json`, readClient),
}))

/**
 * @returns what is mounted just now; a changed file is read again
 * @throws {BrokerError} Misconfigured; the log says what has to be corrected
 */
export function readRegistration(config: Config): Promise<Registration> {
  return reading(config, async () => ({
    settings: await files(config).settings(),
    client: await files(config).client(),
    base: baseOf(config),
  }))
}

function baseOf({ dashboard: { url } }: Config): string {
  if (url !== undefined) return url
  throw mistaken('DASHBOARD_URL', 'it is not set: give it the address under which people reach the broker')
}

/**
 * @returns what `read` does
 * @throws {BrokerError} Misconfigured, where a file is missing too
 */
export async function reading<T>(config: Config, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof BrokerError) throw error
    const missing =
      error instanceof Error && 'path' in error ? `${error.path} is not there` : 'it cannot be read'
    throw mistaken(config.dashboard.directory, missing)
  }
}

/**
 * @param text of settings.json
 * @param path for the error
 * @throws {BrokerError} Misconfigured; `forOperator` says what has to be corrected
 */
export function readSettings(text: string, path: string): Settings {
  const result = v.safeParse(Settings, json(text, path))
  if (result.success) return result.output
  const mistakes = result.issues.map((issue) => {
    const place = v.getDotPath(issue)
    return place === null ? issue.message : `${place}: ${issue.message}`
  })
  throw mistaken(path, mistakes.join('; '))
}

/** The same of client.json, of whose content no error quotes anything. */
export function readClient(text: string, path: string): Client {
  const result = v.safeParse(Client, json(text, path))
  if (result.success) return result.output
  throw mistaken(path, 'it must be {"id": "…", "secret": "…"} and nothing else, neither of the two empty')
}

function json(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // What JSON.parse says quotes the file, which may hold a secret.
    throw mistaken(path, 'it is not JSON')
  }
}

/** @returns what people are told of a mistake of the operator, who finds more in the log */
export function mistaken(what: string, why: string): BrokerError {
  return new BrokerError(
    'Misconfigured',
    'the dashboard is not set up as it should be; its operator finds more in the log',
    {
      forOperator: `${what}: ${why}`,
    },
  )
}
