/** From a request to its answer: the order in which a server looks at a command. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Binary, Int32 } from 'bson'
import { commands } from './commands/commands.ts'
import type { Call, Command } from './parts/command.ts'
import type { Connection } from './parts/connection.ts'
import type { Member, Operation } from './parts/member.ts'
import { allows } from './parts/privileges.ts'
import { badValue, interrupted, notImplemented, Refusal, unauthorized } from './parts/refusal.ts'
import type { FailPoint, Server } from './parts/server.ts'
import { privilegesOfRoles } from './parts/users.ts'
import { type Doc, isDoc, numberOf } from './parts/value.ts'

/** The connection is to be closed without an answer. */
export class Hangup extends Error {
  override readonly name = 'Hangup'
}

/**
 * @returns the answer, `ok: 0` for what is refused
 * @throws {Hangup} when a fail point says so
 */
export async function dispatch(server: Server, connection: Connection, args: Doc): Promise<Doc> {
  const name = Object.keys(args)[0] ?? ''
  const { member } = connection
  const operation = begin(server, connection, name, args)
  try {
    return await carryOut(server, connection, operation, name, args)
  } catch (error) {
    const refusal = refusalOf(error)
    return {
      ok: 0,
      errmsg: refusal.message,
      code: new Int32(refusal.code),
      codeName: refusal.codeName,
      ...refusal.more,
    }
  } finally {
    member.operations.delete(operation.id)
    connection.abort.signal.removeEventListener('abort', operation.leave)
  }
}

function begin(server: Server, connection: Connection, command: string, args: Doc) {
  const abort = new AbortController()
  const leave = () => abort.abort(interrupted())
  connection.abort.signal.addEventListener('abort', leave, { once: true })
  const name = args[command]
  const operation: Operation & { leave: () => void } = {
    id: server.nextNumber(),
    connection: connection.id,
    user: connection.user,
    session: sessionId(args),
    command,
    namespace: `${String(args.$db)}.${typeof name === 'string' ? name : '$cmd'}`,
    started: Date.now(),
    abort,
    leave,
  }
  connection.member.operations.set(operation.id, operation)
  return operation
}

async function carryOut(
  server: Server,
  connection: Connection,
  operation: Operation,
  name: string,
  args: Doc,
): Promise<Doc> {
  const { member } = connection
  const db = args.$db
  if (typeof db !== 'string') {
    throw new Refusal(40571, 'Location40571', 'OP_MSG requests require a $db argument')
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new Refusal(59, 'CommandNotFound', `no such command: '${name}'`)
  const user = connection.user && member.userOf(server.users, connection.user)
  // somebody who was dropped, or made anew under the same name, is not logged in any more
  if (user === undefined || String(user.userId) !== connection.userId) connection.logOut()
  const known = connection.user === undefined ? undefined : user
  const privileges = known === undefined ? [] : privilegesOfRoles(known.roles)
  const call: Call = { server, member, connection, operation, name, db, args, user: known, privileges }
  authorize(call, command)
  const failing = takeFailPoint(server, name)
  if (failing) await failBefore(failing, operation)
  if (command.writes) assertPrimary(server, member)
  if ('autocommit' in args || 'startTransaction' in args) throw notImplemented('transactions')
  const answer = await once(call, () => command.run(call))
  const complaint = failing?.writeConcernError ?? (command.writes && concern(server, args.writeConcern))
  return { ...answer, ...(complaint ? { writeConcernError: complaint } : {}), ok: 1 }
}

function authorize(call: Call, { needs, adminOnly }: Command): void {
  const { name, db, user, privileges } = call
  if (adminOnly && db !== 'admin') {
    throw unauthorized(`${name} may only be run against the admin database.`)
  }
  if (needs === 'nothing') return
  if (user === undefined) throw unauthorized(`Command ${name} requires authentication`)
  if (needs === 'login') return
  if (needs(call).every((need) => allows(privileges, need))) return
  throw unauthorized(
    `not authorized on ${db} to execute command { ${name}: ${JSON.stringify(call.args[name])} }`,
  )
}

/** A retryable write that was carried out already gets its answer again. */
async function once(call: Call, run: () => Doc | Promise<Doc>): Promise<Doc> {
  const { args, server, member, connection, operation } = call
  if (operation.session === undefined || connection.user === undefined) return run()
  const session = member.session(operation.session, connection.user)
  const number = numberOf(args.txnNumber)
  if (number === undefined) return run()
  if (server.settings.topology.type === 'standalone') {
    throw new Refusal(
      20,
      'IllegalOperation',
      'Transaction numbers are only allowed on a replica set member or mongos',
    )
  }
  const wanted = BigInt(number)
  if (session.write?.number === wanted) return session.write.answer
  if (session.write !== undefined && session.write.number > wanted) {
    throw new Refusal(225, 'TransactionTooOld', `Retryable write with txnNumber ${wanted} is too old`)
  }
  const answer = await run()
  session.write = { number: wanted, answer }
  return answer
}

function assertPrimary(server: Server, member: Member): void {
  if (server.settings.topology.type === 'replicaSet' && member.index > 0) {
    throw new Refusal(10107, 'NotWritablePrimary', 'not primary')
  }
}

/** @returns what the write concern cannot have */
function concern(server: Server, wanted: unknown): Doc | undefined {
  if (!isDoc(wanted) || wanted.w === undefined || wanted.w === 'majority') return undefined
  const count = numberOf(wanted.w)
  const { topology, addresses } = server.settings
  if (count === undefined) {
    return {
      code: new Int32(79),
      codeName: 'UnknownReplWriteConcern',
      errmsg: `No write concern mode named '${String(wanted.w)}' found in replica set configuration`,
    }
  }
  if (topology.type === 'standalone' && count > 1) {
    throw badValue("cannot use 'w' > 1 when a host is not replicated")
  }
  if (topology.type !== 'replicaSet' || count <= addresses.length) return undefined
  return {
    code: new Int32(100),
    codeName: 'UnsatisfiableWriteConcern',
    errmsg: 'Not enough data-bearing nodes',
  }
}

function takeFailPoint(server: Server, name: string): FailPoint | undefined {
  const { failPoint } = server
  if (failPoint === undefined || !failPoint.commands.includes(name) || failPoint.left <= 0) return undefined
  failPoint.left--
  return failPoint
}

async function failBefore(failing: FailPoint, { abort }: Operation): Promise<void> {
  if (failing.block > 0) {
    await sleep(failing.block, undefined, { signal: abort.signal }).catch(() => {
      throw interrupted()
    })
  }
  if (failing.closeConnection) throw new Hangup('a fail point closes the connection')
  if (failing.errorCode !== undefined) {
    throw new Refusal(failing.errorCode, `Location${failing.errorCode}`, 'Failing command via failpoint')
  }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Hangup) throw error
  if (error instanceof Refusal) return error
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  console.error(message)
  return new Refusal(8, 'UnknownError', error instanceof Error ? error.message : String(error))
}

function sessionId(args: Doc): string | undefined {
  const id = isDoc(args.lsid) ? args.lsid.id : undefined
  return id instanceof Binary ? Buffer.from(id.buffer).toString('hex') : undefined
}
