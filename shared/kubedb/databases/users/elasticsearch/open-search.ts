/** Users by the REST API of OpenSearch's security plugin. */
import { hash } from 'bcryptjs'
import * as v from 'valibot'
import type { Account } from '../../database.ts'
import type { HttpClient } from '../http-client/client.ts'
import { Refusal } from '../http-client/failure.ts'
import { openSearchRole, openSearchRoles, roleNames } from './roles.ts'
import { everyRole, type Security, sameItems } from './security.ts'

const api = '/_plugins/_security/api'

/**
 * Rounds of bcrypt, as a power of two. More of them make short passwords harder to guess; one of 190 random bits needs
 * none, and each round would be waited for at each first request of an application to each node. The server gets the
 * hash because it would hash anew at every retry, and all its users are one document: retries are frequent.
 */
const rounds = 4

const strings = v.array(v.string())
const RoleState = v.looseObject({
  cluster_permissions: v.optional(strings, []),
  index_permissions: v.optional(
    v.array(
      v.looseObject({
        index_patterns: v.optional(strings, []),
        allowed_actions: v.optional(strings, []),
        fls: v.nullish(strings, []),
        masked_fields: v.nullish(strings, []),
        dls: v.nullish(v.string(), ''),
      }),
    ),
    [],
  ),
  tenant_permissions: v.optional(v.array(v.unknown()), []),
})
type RoleState = v.InferOutput<typeof RoleState>

/** The default configuration gives every user an index of its own, readers too. */
const everybodysRole = 'own_index'
const Mapping = v.looseObject({
  reserved: v.optional(v.boolean(), false),
  users: v.optional(strings, []),
})

export function openSearch(client: HttpClient): Security {
  const path = (kind: string, name = '') =>
    `${api}/${kind}${name === '' ? '' : `/${encodeURIComponent(name)}`}`

  const readRole = async (name: string) =>
    (await client.find(v.record(v.string(), RoleState), 'GET', path('roles', name)))?.[name]

  const readMapping = async () => {
    const found = await client.find(
      v.record(v.string(), Mapping),
      'GET',
      path('rolesmapping', everybodysRole),
    )
    return found?.[everybodysRole]
  }

  /** What is wrong, as the requests that mend it. */
  const repairs = async (): Promise<(() => Promise<unknown>)[]> => {
    const [mapping, ...states] = await Promise.all([
      readMapping(),
      ...everyRole.map((role) => readRole(roleNames[role])),
    ])
    const roles = everyRole
      .filter((role, index) => !isRight(states[index], role))
      .map(
        (role) => () =>
          client.ask(v.unknown(), 'PUT', path('roles', roleNames[role]), { body: openSearchRole(role) }),
      )
    // A mapping that is reserved is the server's owner's decision.
    if (!mapping?.users.includes('*') || mapping.reserved) return roles
    const users = mapping.users.filter((user) => user !== '*')
    // Not `replace`, which an empty list refuses: another bind may have emptied it just now.
    const body = [{ op: 'add', path: '/users', value: users }]
    return [...roles, () => client.ask(v.unknown(), 'PATCH', path('rolesmapping', everybodysRole), { body })]
  }

  return {
    async users() {
      return Object.keys(await client.ask(v.record(v.string(), v.unknown()), 'GET', path('internalusers')))
    },

    async prepared() {
      return (await repairs()).length === 0
    },

    async prepare() {
      for (const repair of await repairs()) await repair()
    },

    async works({ name, password, role }) {
      try {
        const { roles } = await client.ask(
          v.looseObject({ roles: strings }),
          'GET',
          '/_plugins/_security/authinfo',
          {
            as: { name, password },
          },
        )
        return sameItems(roles, [roleNames[role]])
      } catch (error) {
        if (error instanceof Refusal && error.status === 401) return false
        throw error
      }
    },

    async put({ name, password, role }: Account) {
      await client.ask(v.unknown(), 'PUT', path('internalusers', name), {
        body: {
          hash: await hash(password, rounds),
          opendistro_security_roles: [roleNames[role]],
          backend_roles: [],
          attributes: {},
          description: 'a service binding of the KubeDB Service Broker',
        },
      })
    },

    async drop(name) {
      const dropped = await client.find(v.unknown(), 'DELETE', path('internalusers', name))
      // Who is gone from the list may still be in a node's memory, where the request that dropped him was cut off.
      if (dropped === undefined) await client.ask(v.unknown(), 'DELETE', path('cache'))
    },
  }
}

/** @returns whether the role has the permissions that it should, without conditions on documents and fields */
export function isRight(state: RoleState | undefined, role: keyof typeof roleNames): boolean {
  const wanted = openSearchRoles[role]
  const [permission, ...more] = state?.index_permissions ?? []
  return (
    state !== undefined &&
    permission !== undefined &&
    more.length === 0 &&
    state.tenant_permissions.length === 0 &&
    sameItems(state.cluster_permissions, wanted.cluster) &&
    sameItems(permission.allowed_actions, wanted.index) &&
    sameItems(permission.index_patterns, ['/[^.].*/']) &&
    permission.fls?.length === 0 &&
    permission.masked_fields?.length === 0 &&
    permission.dls === ''
  )
}
