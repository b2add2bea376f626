/** Logical sessions, and operations under way. */
import { Binary, Int32, UUID } from 'bson'
import * as v from 'valibot'
import { argumentsOf, type Call, type Commands, integer, onCluster } from '../parts/command.ts'
import { compileFilter } from '../parts/filter.ts'
import { type Member, ofUsers } from '../parts/member.ts'
import { interrupted } from '../parts/refusal.ts'
import { isSame } from '../parts/users.ts'
import { isDoc } from '../parts/value.ts'
import { currentOperations } from './queries.ts'

const names = v.array(v.object({ user: v.string(), db: v.string() }))

export const sessions: Commands = {
  startSession: {
    needs: 'login',
    run: () => ({ id: { id: new UUID().toBinary() }, timeoutMinutes: new Int32(30) }),
  },
  refreshSessions: { needs: 'login', run: () => ({}) },
  endSessions: {
    needs: 'login',
    run(call) {
      endOwn(call)
      return {}
    },
  },
  killSessions: {
    needs: 'login',
    run(call) {
      endOwn(call)
      return {}
    },
  },
  killAllSessions: {
    needs(call) {
      const wanted = v.parse(names, call.args.killAllSessions)
      const own = wanted.length > 0 && wanted.every((name) => call.user && isSame(name, call.user))
      return own ? [] : [{ action: 'killAnySession', on: 'cluster' }]
    },
    run(call) {
      argumentsOf(call, {})
      const wanted = v.parse(names, call.args.killAllSessions)
      for (const member of reached(call)) member.killSessions(ofUsers(wanted))
      return {}
    },
  },
  currentOp: {
    adminOnly: true,
    needs({ args }) {
      return args.$ownOps === true ? [] : [{ action: 'inprog', on: 'cluster' }]
    },
    run(call) {
      const { $ownOps, $all, currentOp, $db: _, lsid: __, ...filter } = call.args
      const found = currentOperations(call, { allUsers: $ownOps !== true })
      return { inprog: found.filter(compileFilter(filter)) }
    },
  },
  killOp: {
    adminOnly: true,
    needs: onCluster('killop'),
    run(call) {
      const { op } = argumentsOf(call, { op: integer })
      call.member.operations.get(op)?.abort.abort(interrupted())
      return { info: 'attempting to kill op' }
    },
  },
}

/** A mongos passes it on to all; a member of a replica set kills its own. */
function reached({ server, member }: Call): readonly Member[] {
  return server.settings.topology.type === 'sharded' ? server.members : [member]
}

function endOwn(call: Call): void {
  const { user, member, name, args } = call
  const given = args[name]
  const ids = new Set(Array.isArray(given) ? given.map(sessionId) : [])
  if (user) member.killSessions((owner, id) => isSame(owner, user) && ids.has(id))
}

function sessionId(session: unknown): string {
  const id = isDoc(session) ? session.id : undefined
  return id instanceof Binary ? Buffer.from(id.buffer).toString('hex') : ''
}
