/** Users of Redis beside the administrator: rules in the spec, their passwords in a Secret. */
import * as v from 'valibot'
import type { Kube } from '../cluster/kube.ts'
import { type Database, resources, Secret, type Spec } from '../cluster/resources.ts'
import type { Block, UsersAt } from './parts/kind.ts'
import { metadataOf, withSuffix } from './parts/offshoots.ts'
import { WorkloadError } from './parts/workload-error.ts'

const reference = v.exactOptional(v.looseObject({ name: v.string() }))
const Acl = v.looseObject({ secretRef: reference, rules: v.optional(v.array(v.string()), []) })
const WithAcl = v.looseObject({
  configuration: v.exactOptional(v.looseObject({ acl: v.exactOptional(Acl) })),
})
const Auth = v.looseObject({
  secretRef: reference,
  syncACL: v.optional(v.array(v.string()), []),
  deleteUsers: v.optional(v.array(v.string()), []),
})
const WithAuth = v.looseObject({ auth: v.exactOptional(Auth) })

type Data = Readonly<Record<string, string>>

function aclOf(spec: Spec): v.InferOutput<typeof Acl> | undefined {
  return v.parse(WithAcl, spec).configuration?.acl
}

/** The user that a rule is about: its first word. */
export function userOf(rule: string): string {
  return rule.trim().split(/\s+/)[0] ?? ''
}

/**
 * A rule as a line of an ACL file. `${key}` alone stands for the password of that key in the Secret.
 * Throws a WorkloadError when the Secret has no such key.
 */
export function aclLine(rule: string, data: Data): string {
  const [user = '', ...words] = rule.trim().split(/\s+/)
  const secretValue = (key: string) => {
    const value = data[key]
    if (value === undefined)
      throw new WorkloadError(`the ACL rule of user ${user} wants the key "${key}", which its Secret lacks`)
    if (/\s/.test(value) || value === '')
      throw new WorkloadError(
        `the value of the key "${key}" for user ${user} is empty or has white space in it`,
      )
    return value
  }
  const replaced = words.map((word) => {
    const password = /^\$\{([^}]+)\}$/.exec(word)?.[1]
    if (password !== undefined) return `>${secretValue(password)}`
    return word.replace(/\$\{([^}]+)\}/g, (_, key: string) => secretValue(key))
  })
  return ['user', user, 'on', ...replaced].join(' ')
}

/** The rules after a change: those of users that are deleted go, those of users that come are replaced. */
export function changedRules(
  rules: readonly string[],
  synced: readonly string[],
  deleted: readonly string[],
): string[] {
  const gone = new Set([...deleted, ...synced.map(userOf)])
  return [...rules.filter((rule) => !gone.has(userOf(rule))), ...synced]
}

/** The keys that rules take from their Secret. */
export function keysIn(rules: readonly string[]): string[] {
  return rules.flatMap((rule) => [...rule.matchAll(/\$\{([^}]+)\}/g)].map(([, key = '']) => key))
}

/** The users of a database's spec, as lines of an ACL file. */
export async function aclLines(kube: Kube, db: Database): Promise<string[]> {
  const acl = aclOf(db.spec)
  if (!acl) return []
  const data = await passwordsOf(kube, db, acl.secretRef?.name)
  return acl.rules.map((rule) => aclLine(rule, data))
}

/** The Secret in which the operator keeps the passwords of all requests so far. */
function keptSecretName(db: Database): string {
  return withSuffix(db.metadata.name, `acl-${db.metadata.uid.slice(-6)}`)
}

async function passwordsOf(kube: Kube, db: Database, name: string | undefined): Promise<Data> {
  const { namespace } = db.metadata
  const get = (secret: string) => kube.get(Secret, resources.secrets, { namespace, name: secret })
  const [kept, named] = await Promise.all([
    get(keptSecretName(db)),
    name === undefined ? undefined : get(name),
  ])
  if (name !== undefined && !named)
    throw new WorkloadError(`the Secret ${namespace}/${name} with the passwords of users is not found`)
  return { ...kept?.data, ...named?.data }
}

/**
 * Carries out `configuration.auth` of a request: the server first, then the Secret that keeps the passwords.
 *
 * @returns the change of the spec, or nothing when the request is not about users
 */
export async function syncUsers(at: UsersAt, db: Database, block: Block): Promise<object> {
  const { auth } = v.parse(WithAuth, block)
  if (!auth) return {}
  const { kind, kube, server } = at
  const acl = aclOf(db.spec)
  const before = await passwordsOf(kube, db, acl?.secretRef?.name)
  const secretName = auth.secretRef?.name ?? acl?.secretRef?.name
  const data = { ...before, ...(await passwordsOf(kube, db, secretName)) }
  const lines = auth.syncACL.map((rule) => aclLine(rule, data))
  if (server && !server.syncAcl) throw new Error(`the ${kind.title} server of the sandbox has no users`)
  await server?.syncAcl?.(lines, auth.deleteUsers)
  const rules = changedRules(acl?.rules ?? [], auth.syncACL, auth.deleteUsers)
  await keepPasswords(at, db, rules, data)
  return {
    configuration: {
      acl: { ...(secretName === undefined ? {} : { secretRef: { name: secretName } }), rules },
    },
  }
}

async function keepPasswords(
  { kind, kube }: UsersAt,
  db: Database,
  rules: string[],
  data: Data,
): Promise<void> {
  const metadata = metadataOf(kind, db, keptSecretName(db))
  const keys = new Set(keysIn(rules))
  const stringData = Object.fromEntries(Object.entries(data).filter(([key]) => keys.has(key)))
  if (await kube.create(resources.secrets, { metadata, type: 'Opaque', stringData })) return
  const known = await kube.get(Secret, resources.secrets, metadata)
  const gone = Object.keys(known?.data ?? {}).filter((key) => !keys.has(key))
  const patch = { data: Object.fromEntries(gone.map((key) => [key, null])), stringData }
  await kube.patch(Secret, resources.secrets, metadata, patch)
}
