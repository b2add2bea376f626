/** Users by the security API of Elasticsearch (X-Pack). */
import * as v from 'valibot'
import { equal } from '../../../../values/json.ts'
import { Unreachable } from '../../database.ts'
import type { HttpClient } from '../http-client/client.ts'
import { Refusal } from '../http-client/failure.ts'
import { roleNames, xPackRole } from './roles.ts'
import { everyRole, type Security, sameItems } from './security.ts'

const strings = v.array(v.string())
const empty = v.optional(v.pipe(v.array(v.unknown()), v.length(0)), [])

/** A role with nothing but privileges for the cluster and for indices, without conditions on documents and fields. */
const PlainRole = v.looseObject({
  cluster: strings,
  indices: v.array(
    v.strictObject({
      names: strings,
      privileges: strings,
      allow_restricted_indices: v.optional(v.boolean(), false),
    }),
  ),
  applications: empty,
  run_as: empty,
  remote_indices: empty,
  remote_cluster: empty,
})

const Identity = v.looseObject({ roles: strings, enabled: v.boolean() })

/** Features that a cluster may not have, and then nobody can log in by them. */
const Absent = v.union([
  v.looseObject({ error: v.looseObject({ 'disabled.feature': v.string() }) }),
  v.looseObject({ error: v.looseObject({ 'license.expired.feature': v.string() }) }),
])

export function xPack(client: HttpClient): Security {
  const path = (kind: string, name: string) => `/_security/${kind}/${encodeURIComponent(name)}`

  const wrong = async () => {
    const states = await Promise.all(
      everyRole.map((role) =>
        client.find(v.record(v.string(), v.unknown()), 'GET', path('role', roleNames[role])),
      ),
    )
    return everyRole.filter((role, index) => !isRight(states[index]?.[roleNames[role]], role))
  }

  /** Keys and tokens outlive the user that made them. */
  const invalidate = async (what: string, name: string) => {
    try {
      const { error_count } = await client.ask(
        v.looseObject({ error_count: v.number() }),
        'DELETE',
        `/_security/${what}`,
        { body: { username: name } },
      )
      if (error_count > 0)
        throw new Unreachable(`${error_count} ${what} of the user could not be invalidated yet`)
    } catch (error) {
      const absent = error instanceof Refusal && v.is(Absent, error.body)
      // The token API answers 404 where there was none.
      if (!absent && !(error instanceof Refusal && error.status === 404)) throw error
    }
  }

  return {
    async users() {
      return Object.keys(await client.ask(v.record(v.string(), v.unknown()), 'GET', '/_security/user'))
    },

    async prepared() {
      return (await wrong()).length === 0
    },

    async prepare() {
      for (const role of await wrong()) {
        await client.ask(v.unknown(), 'PUT', path('role', roleNames[role]), { body: xPackRole(role) })
      }
    },

    async works({ name, password, role }) {
      try {
        const identity = await client.ask(Identity, 'GET', '/_security/_authenticate', {
          as: { name, password },
        })
        return identity.enabled && sameItems(identity.roles, [roleNames[role]])
      } catch (error) {
        if (error instanceof Refusal && error.status === 401) return false
        throw error
      }
    },

    async put({ name, password, role }) {
      await client.ask(v.unknown(), 'PUT', path('user', name), {
        body: {
          password,
          roles: [roleNames[role]],
          full_name: 'a service binding of the KubeDB Service Broker',
          enabled: true,
        },
      })
    },

    async drop(name) {
      await client.find(v.unknown(), 'DELETE', path('user', name))
      await invalidate('api_key', name)
      await invalidate('oauth2/token', name)
    },
  }
}

/** @returns whether the role has the privileges that it should, and nothing beside */
export function isRight(state: unknown, role: keyof typeof roleNames): boolean {
  const found = v.safeParse(PlainRole, state)
  if (!found.success) return false
  const sorted = ({ cluster, indices }: Pick<v.InferOutput<typeof PlainRole>, 'cluster' | 'indices'>) => ({
    cluster: [...cluster].sort(),
    indices: indices.map((index) => ({ ...index, privileges: [...index.privileges].sort() })),
  })
  return equal(sorted(found.output), sorted(v.parse(PlainRole, xPackRole(role))))
}
