/** The part of X-Pack's security API that manages users, roles and API keys, by way of OpenSearch's security plugin. */
import { randomBytes } from 'node:crypto'
import { hash } from 'bcryptjs'
import * as v from 'valibot'
import { isObject, JsonObject } from '../../../../shared/values/json.ts'
import { type Answer, ask } from '../../parts/request.ts'
import { pluginRole, Role } from './privileges.ts'
import { failure, noHandler, type Reply, unauthenticated, unauthorized } from './refusals.ts'

/** Who asks, and how the server behind is told. */
export interface Caller {
  readonly user: string
  readonly authorization: string
  readonly disabled: boolean
}

export interface Security {
  /** @returns who an Authorization header stands for; undefined when there is none, `refused` when it is nobody */
  caller(authorization: string | undefined): Caller | 'refused' | undefined
  answer(method: string, path: string, caller: Caller, body: string): Promise<Reply>
}

interface Options {
  readonly inner: string
  readonly login: { readonly user: string; readonly password: string }
  readonly administrator: string
  readonly tls: object | undefined
}

/** A key is a user of the server behind, whose password it is. */
const keyPrefix = 'api-key-'

const User = v.strictObject({
  password: v.optional(v.string()),
  password_hash: v.optional(v.string()),
  roles: v.array(v.string()),
  full_name: v.nullish(v.string()),
  email: v.nullish(v.string()),
  metadata: v.optional(JsonObject, {}),
  enabled: v.optional(v.boolean(), true),
})

const PluginUser = v.looseObject({
  opendistro_security_roles: v.array(v.string()),
  attributes: v.record(v.string(), v.string()),
})
type PluginUser = v.InferOutput<typeof PluginUser>
const PluginRole = v.looseObject({ description: v.optional(v.string()) })

const Invalidation = v.strictObject({
  username: v.optional(v.string()),
  ids: v.optional(v.array(v.string())),
  owner: v.optional(v.boolean()),
})

/** Reads who is disabled, which the server behind does not know. */
export async function openSecurity(options: Options): Promise<Security> {
  const disabled = new Set<string>()
  let last: Promise<unknown> = Promise.resolve()

  const plugin = async (
    method: string,
    path: string,
    by: Pick<Caller, 'authorization'> | 'steward',
    body?: JsonObject,
  ) => {
    const who = by === 'steward' ? { login: options.login } : { authorization: by.authorization }
    for (let attempt = 1; ; attempt++) {
      const answer = await ask(`${options.inner}/_plugins/_security/${path}`, {
        method,
        ...who,
        ...(body === undefined ? {} : { body }),
      })
      if (answer.status !== 409 || attempt === 20) return answer
    }
  }

  const users = async (by: Caller | 'steward') => {
    const answer = await plugin('GET', 'api/internalusers', by)
    if (answer.status !== 200) return answer
    return v.parse(v.record(v.string(), PluginUser), JSON.parse(answer.text))
  }

  const roles = async (by: Caller | 'steward') => {
    const answer = await plugin('GET', 'api/roles', by)
    if (answer.status !== 200) return answer
    const all = v.parse(v.record(v.string(), PluginRole), JSON.parse(answer.text))
    return Object.fromEntries(
      Object.entries(all).flatMap(([name, { description }]) => {
        // Those of the plugin itself are none of X-Pack's.
        if (!description?.startsWith('{')) return []
        return [[name, v.parse(Role, JSON.parse(description))] as const]
      }),
    )
  }

  /** Elasticsearch keeps a document for each user, the server behind one for all: two writes would conflict. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }

  const answerOf = async (method: string, path: string, caller: Caller, body: string): Promise<Reply> => {
    const [, , what = '', name, verb] = path.split('/').map(decodeURIComponent)
    const writes = method === 'PUT' || method === 'POST'
    if (what === '_authenticate' && method === 'GET') return authenticate(caller)
    if (what === 'user' && verb === undefined) {
      if (method === 'GET') return getUsers(caller, name)
      if (writes && name !== undefined) return inTurn(() => putUser(caller, name, parsed(body)))
      if (method === 'DELETE' && name !== undefined) return inTurn(() => deleteUser(caller, name))
    }
    if (what === 'user' && name !== undefined && writes && (verb === '_enable' || verb === '_disable'))
      return inTurn(() => enable(caller, name, verb === '_enable'))
    if (what === 'role') {
      if (method === 'GET') return getRoles(caller, name)
      if (writes && name !== undefined) return inTurn(() => putRole(caller, name, parsed(body)))
      if (method === 'DELETE' && name !== undefined) return inTurn(() => deleteRole(caller, name))
    }
    if (what === 'api_key' && name === undefined) {
      if (writes) return inTurn(() => createKey(caller, parsed(body)))
      if (method === 'GET') return getKeys(caller)
      if (method === 'DELETE')
        return inTurn(() => invalidateKeys(caller, v.parse(Invalidation, parsed(body))))
    }
    if (what === 'oauth2' && name === 'token' && method === 'DELETE') return tokens(options.tls !== undefined)
    return noHandler(method, path)
  }

  const authenticate = async (caller: Caller): Promise<Reply> => {
    const answer = await plugin('GET', 'authinfo', caller)
    if (answer.status !== 200) return refused(answer, caller, 'authenticate')
    const { user_name, roles } = v.parse(
      v.looseObject({ user_name: v.string(), roles: v.array(v.string()) }),
      JSON.parse(answer.text),
    )
    const known = user_name === options.administrator ? ['superuser'] : roles
    const realm = { name: 'native1', type: 'native' }
    return {
      status: 200,
      body: {
        ...shownUser(caller.user, known, true),
        authentication_realm: realm,
        lookup_realm: realm,
        authentication_type: user_name.startsWith(keyPrefix) ? 'api_key' : 'realm',
      },
    }
  }

  const getUsers = async (caller: Caller, names: string | undefined): Promise<Reply> => {
    const all = await users(caller)
    if (isAnswer(all)) return refused(all, caller, 'user/get')
    const wanted = names?.split(',')
    const shown = Object.entries(all).filter(
      ([name]) => !name.startsWith(keyPrefix) && (wanted === undefined || wanted.includes(name)),
    )
    return {
      status: shown.length === 0 && wanted !== undefined ? 404 : 200,
      body: Object.fromEntries(
        shown.map(([name, user]) => [
          name,
          name === options.administrator
            ? shownUser(name, ['superuser'], true, { _reserved: true })
            : shownUser(name, user.opendistro_security_roles, !disabled.has(name), metadataOf(user)),
        ]),
      ),
    }
  }

  const putUser = async (caller: Caller, name: string, body: unknown): Promise<Reply> => {
    const user = v.safeParse(User, body)
    if (!user.success) return invalid(user.issues[0].message)
    if (name === options.administrator)
      return invalid(`user [${name}] is reserved and only the password can be changed`)
    const { password, password_hash, roles, metadata, enabled } = user.output
    if (password !== undefined && password.length < 6)
      return invalid('passwords must be at least [6] characters long')
    const before = await users(caller)
    if (isAnswer(before)) return refused(before, caller, 'user/put')
    const created = before[name] === undefined
    const secret = password === undefined ? password_hash : await hash(password, 4)
    if (created && secret === undefined)
      return invalid('password must be specified unless you are updating an existing user')
    const answer = await plugin('PUT', `api/internalusers/${encodeURIComponent(name)}`, caller, {
      ...(secret === undefined ? {} : { hash: secret }),
      opendistro_security_roles: roles,
      attributes: { metadata: JSON.stringify(metadata), enabled: String(enabled) },
    })
    if (answer.status === 404) return invalid(`the sandbox wants roles before their users: ${answer.text}`)
    if (answer.status >= 300) return refused(answer, caller, 'user/put')
    if (enabled) disabled.delete(name)
    else disabled.add(name)
    return { status: 200, body: { created } }
  }

  const enable = async (caller: Caller, name: string, on: boolean): Promise<Reply> => {
    const all = await users(caller)
    if (isAnswer(all)) return refused(all, caller, 'user/set_enabled')
    const user = all[name]
    if (!user) return invalid('only existing users can be enabled or disabled')
    const answer = await plugin('PUT', `api/internalusers/${encodeURIComponent(name)}`, caller, {
      opendistro_security_roles: user.opendistro_security_roles,
      attributes: { ...user.attributes, enabled: String(on) },
    })
    if (answer.status >= 300) return refused(answer, caller, 'user/set_enabled')
    if (on) disabled.delete(name)
    else disabled.add(name)
    return { status: 200, body: {} }
  }

  const deleteUser = async (caller: Caller, name: string): Promise<Reply> => {
    const answer = await plugin('DELETE', `api/internalusers/${encodeURIComponent(name)}`, caller)
    if (answer.status === 404) return { status: 404, body: { found: false } }
    if (answer.status >= 300) return refused(answer, caller, 'user/delete')
    disabled.delete(name)
    return { status: 200, body: { found: true } }
  }

  const getRoles = async (caller: Caller, names: string | undefined): Promise<Reply> => {
    const all = await roles(caller)
    if (isAnswer(all)) return refused(all, caller, 'role/get')
    const wanted = names?.split(',')
    const shown = Object.entries(all).filter(([name]) => wanted === undefined || wanted.includes(name))
    return {
      status: shown.length === 0 && wanted !== undefined ? 404 : 200,
      body: Object.fromEntries(
        shown.map(([name, role]) => [name, { ...role, transient_metadata: { enabled: true } }]),
      ),
    }
  }

  const putRole = async (caller: Caller, name: string, body: unknown): Promise<Reply> => {
    const role = v.safeParse(Role, body)
    if (!role.success)
      return failure(400, 'parse_exception', `failed to parse role [${name}]. ${role.issues[0].message}`)
    let translated: JsonObject
    try {
      translated = pluginRole(role.output)
    } catch (error) {
      return failure(
        400,
        'illegal_argument_exception',
        error instanceof Error ? error.message : String(error),
      )
    }
    const answer = await plugin('PUT', `api/roles/${encodeURIComponent(name)}`, caller, {
      ...translated,
      description: JSON.stringify(role.output),
    })
    if (answer.status >= 300) return refused(answer, caller, 'role/put')
    return { status: 200, body: { role: { created: answer.status === 201 } } }
  }

  const deleteRole = async (caller: Caller, name: string): Promise<Reply> => {
    const answer = await plugin('DELETE', `api/roles/${encodeURIComponent(name)}`, caller)
    if (answer.status === 404) return { status: 404, body: { found: false } }
    return answer.status >= 300
      ? refused(answer, caller, 'role/delete')
      : { status: 200, body: { found: true } }
  }

  /** Whether one of the caller's roles has one of the privileges; the administrator has all. */
  const holds = async (
    caller: Caller,
    privileges: readonly string[],
  ): Promise<{ roles: string[] } | undefined> => {
    const [all, own] = [await roles('steward'), await users('steward')]
    if (isAnswer(all) || isAnswer(own)) return undefined
    if (caller.user === options.administrator) return { roles: ['all_access'] }
    const mine = own[caller.user]?.opendistro_security_roles ?? []
    const has = mine.some((name) => all[name]?.cluster.some((privilege) => privileges.includes(privilege)))
    return has ? { roles: mine } : undefined
  }

  const createKey = async (caller: Caller, body: unknown): Promise<Reply> => {
    const identity = await authenticate(caller)
    if (identity.status !== 200) return identity
    const rights = await holds(caller, ['all', 'manage_security', 'manage_api_key', 'manage_own_api_key'])
    if (!rights) return unauthorized(caller.user, 'cluster:admin/xpack/security/api_key/create')
    const { name } = v.parse(v.looseObject({ name: v.string() }), body)
    const id = randomBytes(15).toString('base64url')
    const key = randomBytes(16).toString('base64url')
    const answer = await plugin('PUT', `api/internalusers/${keyPrefix}${id}`, 'steward', {
      hash: await hash(key, 4),
      opendistro_security_roles: rights.roles,
      attributes: { owner: caller.user, name },
    })
    if (answer.status >= 300) return refused(answer, caller, 'api_key/create')
    return {
      status: 200,
      body: { id, name, api_key: key, encoded: Buffer.from(`${id}:${key}`).toString('base64') },
    }
  }

  const keysOf = async () => {
    const all = await users('steward')
    if (isAnswer(all)) throw new Error(all.text)
    return Object.entries(all)
      .filter(([name]) => name.startsWith(keyPrefix))
      .map(([name, { attributes }]) => ({
        id: name.slice(keyPrefix.length),
        name: attributes.name ?? '',
        username: attributes.owner ?? '',
        invalidated: false,
      }))
  }

  const getKeys = async (caller: Caller): Promise<Reply> => {
    if (!(await holds(caller, ['all', 'manage_security', 'manage_api_key', 'read_security'])))
      return unauthorized(caller.user, 'cluster:admin/xpack/security/api_key/get')
    return { status: 200, body: { api_keys: await keysOf() } }
  }

  const invalidateKeys = async (
    caller: Caller,
    { username, ids }: v.InferOutput<typeof Invalidation>,
  ): Promise<Reply> => {
    const identity = await authenticate(caller)
    if (identity.status !== 200) return identity
    if (!(await holds(caller, ['all', 'manage_security', 'manage_api_key'])))
      return unauthorized(caller.user, 'cluster:admin/xpack/security/api_key/invalidate')
    const doomed = (await keysOf()).filter((key) => key.username === username || ids?.includes(key.id))
    for (const { id } of doomed) await plugin('DELETE', `api/internalusers/${keyPrefix}${id}`, 'steward')
    return {
      status: 200,
      body: {
        invalidated_api_keys: doomed.map(({ id }) => id),
        previously_invalidated_api_keys: [],
        error_count: 0,
      },
    }
  }

  const known = await users('steward')
  if (isAnswer(known)) throw new Error(`the security plugin does not tell its users: ${known.text}`)
  for (const [name, { attributes }] of Object.entries(known))
    if (attributes.enabled === 'false') disabled.add(name)

  return {
    caller(authorization) {
      const found = callerOf(authorization)
      return typeof found === 'object' ? { ...found, disabled: disabled.has(found.user) } : found
    },
    answer: answerOf,
  }
}

function callerOf(authorization: string | undefined): Omit<Caller, 'disabled'> | 'refused' | undefined {
  if (authorization === undefined) return undefined
  const [, scheme = '', encoded = ''] = /^(\w+)\s+(.*)$/.exec(authorization) ?? []
  const [user = '', ...rest] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  switch (scheme.toLowerCase()) {
    case 'basic':
      return { user, authorization }
    case 'apikey': {
      const login = Buffer.from(`${keyPrefix}${user}:${rest.join(':')}`).toString('base64')
      return { user: `${keyPrefix}${user}`, authorization: `Basic ${login}` }
    }
    default:
      return 'refused'
  }
}

function isAnswer(value: object): value is Answer {
  return 'status' in value && 'text' in value && typeof value.status === 'number'
}

function shownUser(
  username: string,
  roles: string[],
  enabled: boolean,
  metadata: JsonObject = {},
): JsonObject {
  return { username, roles, full_name: null, email: null, metadata, enabled }
}

function metadataOf({ attributes }: PluginUser): JsonObject {
  const metadata: unknown = JSON.parse(attributes.metadata ?? '{}')
  return isObject(metadata) ? v.parse(JsonObject, metadata) : {}
}

function refused({ status, text }: Answer, caller: Caller, action: string): Reply {
  if (status === 401) return unauthenticated(caller.user, `/_security/${action}`)
  if (status === 403) return unauthorized(caller.user, `cluster:admin/xpack/security/${action}`)
  return failure(status, 'exception', text)
}

function invalid(what: string): Reply {
  return failure(400, 'action_request_validation_exception', `Validation Failed: 1: ${what};`)
}

/** Basic licences have no tokens, and without TLS nobody has. */
function tokens(encrypted: boolean): Reply {
  return encrypted
    ? failure(403, 'security_exception', 'current license is non-compliant for [security tokens]', {
        'license.expired.feature': 'security tokens',
      })
    : failure(400, 'exception', 'security tokens are not enabled', { 'disabled.feature': 'security_tokens' })
}

function parsed(body: string): unknown {
  return JSON.parse(body === '' ? '{}' : body)
}
