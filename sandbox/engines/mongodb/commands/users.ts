/** Users and their roles. */
import { Int32 } from 'bson'
import * as v from 'valibot'
import {
  argumentsOf,
  type Call,
  type Commands,
  doc,
  docs,
  flag,
  mayDo,
  onCluster,
  text,
} from '../parts/command.ts'
import { compileFilter } from '../parts/filter.ts'
import { badValue, failedToParse, notImplemented, Refusal, unauthorized } from '../parts/refusal.ts'
import type { Privilege, RoleName } from '../parts/roles.ts'
import { makeCredentials, mechanism } from '../parts/scram.ts'
import { isSame, privilegesOfRoles, type User, type UserName } from '../parts/users.ts'
import { type Doc, isDoc, numberOf } from '../parts/value.ts'

const roleNames = v.array(v.union([text, v.object({ role: text, db: text })]))

const account = {
  pwd: v.optional(text),
  digestPassword: v.optional(flag),
  mechanisms: v.optional(v.array(text)),
  customData: v.optional(doc),
  authenticationRestrictions: v.optional(docs),
}

export const users: Commands = {
  createUser: {
    writes: true,
    needs(call) {
      const { db } = call
      if (!mayDo(call, 'createUser', { db }))
        throw unauthorized(`Not authorized to create users on db: ${db}`)
      const { roles, authenticationRestrictions } = argumentsOf(call, { ...account, roles: roleNames })
      assertMayGrant(call, resolved(roles, db))
      if (authenticationRestrictions) assertMayRestrict(call)
      return []
    },
    run(call) {
      const { server, member, db } = call
      const args = argumentsOf(call, { ...account, roles: roleNames })
      const name = nameOf(call)
      if (name.user === '') throw badValue("User document needs 'user' field to be non-empty")
      if (db === 'local') throw badValue('Cannot create users in the local database')
      if (args.pwd === undefined) {
        throw badValue(
          "Must provide a 'pwd' field for all user documents, except those with '$external' as the user's source db",
        )
      }
      server.users.create(name, {
        credentials: credentialsOf(args.pwd, args),
        roles: resolved(args.roles, db),
        ...(args.customData ? { customData: args.customData } : {}),
        ...(args.authenticationRestrictions?.length
          ? { authenticationRestrictions: args.authenticationRestrictions }
          : {}),
      })
      member.forgetUsers()
      return {}
    },
  },

  updateUser: {
    writes: true,
    needs(call) {
      const { db } = call
      const args = argumentsOf(call, { ...account, roles: v.optional(roleNames) })
      const { user } = nameOf(call)
      const password = args.pwd !== undefined || args.mechanisms !== undefined
      if (password && !mayDo(call, 'changePassword', { db })) {
        throw unauthorized(`Not authorized to change password of user: ${user}@${db}`)
      }
      if (args.customData && !mayDo(call, 'changeCustomData', { db })) {
        throw unauthorized(`Not authorized to change customData of user: ${user}@${db}`)
      }
      if (args.roles) {
        if (
          !call.privileges.some(({ on, actions }) => on.match === 'normal' && actions.includes('revokeRole'))
        ) {
          throw unauthorized(
            'In order to use updateUser to set roles array, must be authorized to revoke any role in the system',
          )
        }
        assertMayGrant(call, resolved(args.roles, db))
      }
      if (args.authenticationRestrictions) assertMayRestrict(call)
      return []
    },
    run(call) {
      const { server, member, db } = call
      const args = argumentsOf(call, { ...account, roles: v.optional(roleNames) })
      const { authenticationRestrictions, customData } = args
      const changes = {
        ...(args.pwd === undefined ? {} : { credentials: credentialsOf(args.pwd, args) }),
        ...(args.roles ? { roles: resolved(args.roles, db) } : {}),
        ...(customData ? { customData } : {}),
        ...(authenticationRestrictions ? { authenticationRestrictions } : {}),
      }
      if (Object.keys(changes).length === 0) {
        throw badValue('Must specify at least one field to update in updateUser')
      }
      server.users.update(nameOf(call), changes)
      member.forgetUsers()
      return {}
    },
  },

  dropUser: {
    writes: true,
    needs(call) {
      const { db } = call
      if (!mayDo(call, 'dropUser', { db })) {
        throw unauthorized(`Not authorized to drop users from the ${db} database`)
      }
      return []
    },
    run(call) {
      argumentsOf(call, {})
      call.server.users.drop(nameOf(call))
      call.member.forgetUsers()
      return {}
    },
  },

  dropAllUsersFromDatabase: {
    writes: true,
    needs: ({ db }) => [{ action: 'dropUser', on: { db } }],
    run(call) {
      argumentsOf(call, {})
      const doomed = call.server.users.all().filter(({ db }) => db === call.db)
      for (const user of doomed) call.server.users.drop(user)
      call.member.forgetUsers()
      return { n: new Int32(doomed.length) }
    },
  },

  grantRolesToUser: {
    writes: true,
    needs(call) {
      assertMayGrant(call, resolved(argumentsOf(call, { roles: roleNames }).roles, call.db))
      return []
    },
    run: (call) => changeRoles(call, (present, more) => [...without(present, more), ...more]),
  },

  revokeRolesFromUser: {
    writes: true,
    needs(call) {
      for (const { role, db } of resolved(argumentsOf(call, { roles: roleNames }).roles, call.db)) {
        if (!mayDo(call, 'revokeRole', { db }))
          throw unauthorized(`Not authorized to revoke role: ${role}@${db}`)
      }
      return []
    },
    run: (call) => changeRoles(call, without),
  },

  usersInfo: {
    needs(call) {
      const wanted = wantedUsers(call)
      // everybody may look at himself
      if (wanted.kind === 'named' && wanted.names.every((name) => call.user && isSame(name, call.user)))
        return []
      if (wanted.kind === 'everywhere') return [{ action: 'viewUser', on: 'cluster' }]
      const dbs = wanted.kind === 'database' ? [call.db] : wanted.names.map(({ db }) => db)
      for (const db of dbs) {
        if (!mayDo(call, 'viewUser', { db })) {
          throw unauthorized(`Not authorized to view users from the ${db} database`)
        }
      }
      return []
    },
    run(call) {
      const args = argumentsOf(call, infoArguments)
      const wanted = wantedUsers(call)
      if (args.showAuthenticationRestrictions && wanted.kind !== 'named') {
        throw new Refusal(
          20,
          'IllegalOperation',
          'Privilege or restriction details require exact-match usersInfo queries',
        )
      }
      const matches = compileFilter(args.filter ?? {})
      const found = call.server.users.all().filter((user) => {
        if (wanted.kind === 'named' && !wanted.names.some((name) => isSame(name, user))) return false
        if (wanted.kind === 'database' && user.db !== call.db) return false
        return matches({ ...user })
      })
      return { users: found.map((user) => shown(user, args)) }
    },
  },

  connectionStatus: {
    needs: 'nothing',
    run(call) {
      const { showPrivileges } = argumentsOf(call, { showPrivileges: v.optional(flag) })
      const { user, privileges } = call
      return {
        authInfo: {
          authenticatedUsers: user ? [{ user: user.user, db: user.db }] : [],
          authenticatedUserRoles: user ? user.roles : [],
          ...(showPrivileges ? { authenticatedUserPrivileges: privileges.map(privilegeShown) } : {}),
        },
      }
    },
  },

  invalidateUserCache: {
    adminOnly: true,
    needs: onCluster('invalidateUserCache'),
    run(call) {
      argumentsOf(call, {})
      call.member.forgetUsers()
      return {}
    },
  },
}

const infoArguments = {
  showCredentials: v.optional(flag),
  showCustomData: v.optional(flag),
  showPrivileges: v.optional(flag),
  showAuthenticationRestrictions: v.optional(flag),
  filter: v.optional(doc),
}

function shown(
  user: User,
  show: {
    showCredentials?: boolean | undefined
    showCustomData?: boolean | undefined
    showPrivileges?: boolean | undefined
    showAuthenticationRestrictions?: boolean | undefined
  },
): Doc {
  const { credentials } = user
  return {
    _id: user._id,
    userId: user.userId,
    user: user.user,
    db: user.db,
    ...(show.showCredentials && credentials
      ? {
          credentials: {
            [mechanism]: {
              ...credentials[mechanism],
              iterationCount: new Int32(credentials[mechanism].iterationCount),
            },
          },
        }
      : {}),
    ...(user.customData && show.showCustomData !== false ? { customData: user.customData } : {}),
    roles: user.roles,
    ...(show.showAuthenticationRestrictions
      ? {
          authenticationRestrictions: user.authenticationRestrictions ?? [],
          inheritedAuthenticationRestrictions: [],
        }
      : {}),
    ...(show.showPrivileges
      ? { inheritedPrivileges: privilegesOfRoles(user.roles).map(privilegeShown) }
      : {}),
    mechanisms: credentials ? [mechanism] : [],
  }
}

function privilegeShown({ on, actions }: Privilege): Doc {
  const resource = () => {
    switch (on.match) {
      case 'cluster':
        return { cluster: true }
      case 'normal':
        return { db: '', collection: '' }
      case 'database':
        return { db: on.db, collection: '' }
      case 'exact':
        return { db: on.db, collection: on.collection }
      case 'collection':
        return { db: '', collection: on.collection }
    }
  }
  return { resource: resource(), actions: [...actions] }
}

type Wanted = { kind: 'everywhere' } | { kind: 'database' } | { kind: 'named'; names: UserName[] }

/** What `usersInfo` is about: `1`, a name, `{user, db}`, a list of these, or `{forAllDBs: true}`. */
function wantedUsers({ args, db, name }: Call): Wanted {
  const about = args[name]
  if (numberOf(about) === 1) return { kind: 'database' }
  if (isDoc(about) && about.forAllDBs === true) return { kind: 'everywhere' }
  const names = (Array.isArray(about) ? about : [about]).map((one): UserName => {
    if (typeof one === 'string') return { user: one, db }
    if (isDoc(one) && typeof one.user === 'string' && typeof one.db === 'string') {
      return { user: one.user, db: one.db }
    }
    throw badValue("User name must be either string or object, or an object with fields 'user' and 'db'")
  })
  return { kind: 'named', names }
}

function changeRoles(call: Call, change: (present: RoleName[], named: RoleName[]) => RoleName[]): Doc {
  const { roles } = argumentsOf(call, { roles: roleNames })
  if (roles.length === 0) throw badValue(`${call.name} command requires a non-empty "roles" array`)
  const name = nameOf(call)
  const present = call.server.users.get(name).roles
  call.server.users.update(name, { roles: change(present, resolved(roles, call.db)) })
  call.member.forgetUsers()
  return {}
}

function without(present: RoleName[], named: RoleName[]): RoleName[] {
  return present.filter(({ role, db }) => !named.some((one) => one.role === role && one.db === db))
}

function nameOf({ args, name, db }: Call): UserName {
  const user = args[name]
  if (typeof user !== 'string') throw failedToParse(`${name} needs the name of a user`)
  return { user, db }
}

function resolved(roles: readonly (string | RoleName)[], db: string): RoleName[] {
  return roles.map((role) => (typeof role === 'string' ? { role, db } : role))
}

function assertMayGrant(call: Call, roles: readonly RoleName[]): void {
  for (const { role, db } of roles) {
    if (!mayDo(call, 'grantRole', { db })) throw unauthorized(`Not authorized to grant role: ${role}@${db}`)
  }
}

function assertMayRestrict(call: Call): void {
  if (!mayDo(call, 'setAuthenticationRestriction', { db: call.db })) throw unauthorized('Unauthorized')
}

function credentialsOf(
  password: string,
  { digestPassword, mechanisms }: { digestPassword?: boolean | undefined; mechanisms?: string[] | undefined },
) {
  if (mechanisms?.length === 0) throw badValue('mechanisms field must not be empty')
  if (mechanisms?.includes('SCRAM-SHA-1')) throw notImplemented('SCRAM-SHA-1')
  const other = mechanisms?.find((one) => one !== mechanism)
  if (other !== undefined) throw badValue(`Unknown auth mechanism '${other}'`)
  if (digestPassword === false) throw badValue('Use of SCRAM-SHA-256 requires undigested passwords')
  if (password === '') throw badValue('Password cannot be empty')
  return { [mechanism]: makeCredentials(password) }
}
