/**
 * The users of bindings in Redis and Valkey: KubeDB makes them from rules of an access control list that an OpsRequest
 * carries. Pure.
 */
import type { Json, JsonObject } from '../../../values/json.ts'
import type { Role } from '../../../values/nouns.ts'
import type { Accounts } from '../database.ts'
import { compareVersions } from '../parts/dimensions.ts'
import { at } from '../parts/spec.ts'

/** Names that the broker gives; everything else in the list belongs to others. */
const ours = /^b[a-z2-7]{26}$/

/** What clients ask for by themselves: where the shards are, whether the server is ready. All of it only tells. */
const clients = [
  ...['slots', 'shards', 'nodes', 'info', 'myid', 'keyslot', 'countkeysinslot', 'getkeysinslot'].map(
    (subcommand) => `+cluster|${subcommand}`,
  ),
  ...['+readonly', '+readwrite', '+info', '+role', '+keys'],
]

const scripts = ['-script', '+script|load', '+script|exists']

/** No role administers the server, sees other clients, or changes who may log in. */
const rules: { readonly [R in Role]: (seven: boolean) => string[] } = {
  owner: () => ['+@all', '-@admin', '-@dangerous', '+sort', '+flushdb', '+flushall', ...clients],
  readWrite: (seven) => [
    ...['+@all', '-@admin', '-@dangerous', '+sort', ...scripts],
    // Functions are the server's own code: what an owner defines, others call.
    ...(seven ? ['-function', '+function|list'] : []),
    ...clients,
  ],
  readOnly: (seven) => [
    ...['+@read', '+@connection', '+multi', '+exec', '+discard', '+watch', '+unwatch'],
    ...['+subscribe', '+unsubscribe', '+psubscribe', '+punsubscribe', '+pubsub'],
    ...['-@admin', '-@dangerous', '+script|load', '+script|exists'],
    ...(seven ? ['+ssubscribe', '+sunsubscribe', '+eval_ro', '+evalsha_ro', '+fcall_ro', '+sort_ro'] : []),
    ...clients,
  ],
}

/** @returns the rule of a user as KubeDB takes it: the password is the Secret's value under the user's name */
export function redisRule(name: string, role: Role, version: string): string {
  const seven = compareVersions(version, '7.0.0') >= 0
  return [name, `\${${name}}`, '~*', '&*', ...rules[role](seven)].join(' ')
}

export const redisUsers: Extract<Accounts, { by: 'declaration' }> = {
  by: 'declaration',

  declared: (spec) => named(at(spec, 'configuration.acl.rules')),

  request(spec, { secret, make, remove }) {
    const version = String(spec.version)
    const auth: JsonObject = {
      ...(make.length > 0
        ? {
            secretRef: { name: secret },
            syncACL: make.map(({ name, role }) => redisRule(name, role, version)),
          }
        : {}),
      ...(remove.length > 0 ? { deleteUsers: [...remove] } : {}),
    }
    return {
      type: 'Reconfigure',
      // Users come and go in the running servers.
      body: { configuration: { auth, restart: 'false' } },
    }
  },

  carried: (spec) => ({
    make: named(at(spec, 'configuration.auth.syncACL')),
    remove: named(at(spec, 'configuration.auth.deleteUsers')),
  }),
}

/** @returns the broker's users that a list of rules or names begins with */
function named(list: Json): string[] {
  if (!Array.isArray(list)) return []
  return list.map((rule) => String(rule).split(' ')[0] ?? '').filter((name) => ours.test(name))
}
