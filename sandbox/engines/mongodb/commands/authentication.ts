/** Logging in with SCRAM-SHA-256. */
import { Binary, Int32 } from 'bson'
import * as v from 'valibot'
import { anything, argumentsOf, type Commands, integer, text } from '../parts/command.ts'
import type { Connection } from '../parts/connection.ts'
import { authenticationFailed, badValue, Refusal } from '../parts/refusal.ts'
import { Conversation, mechanism, readFirst } from '../parts/scram.ts'
import type { Server } from '../parts/server.ts'
import type { Doc } from '../parts/value.ts'

/** @param name `<db>.<user>` */
export function mechanismsOf(server: Server, name: string): string[] {
  const [db = '', ...user] = name.split('.')
  return server.users.find({ db, user: user.join('.') })?.credentials === undefined ? [] : [mechanism]
}

/** @throws {Refusal} AuthenticationFailed for a user that is not there: not said in other words than a wrong password */
export function start(server: Server, connection: Connection, db: string, payload: unknown): Doc {
  const first = readFirst(textOf(payload))
  if (first === undefined) throw badValue('Invalid SCRAM client-first message')
  const credentials = server.users.find({ user: first.user, db })?.credentials
  if (credentials === undefined) throw authenticationFailed()
  const scram = new Conversation(first, credentials[mechanism])
  connection.conversation = { id: server.nextNumber(), db, scram }
  return {
    conversationId: new Int32(connection.conversation.id),
    done: false,
    payload: binary(scram.challenge),
  }
}

export const authentication: Commands = {
  saslStart: {
    needs: 'nothing',
    run(call) {
      const args = argumentsOf(call, {
        mechanism: text,
        payload: anything,
        autoAuthorize: v.optional(anything),
        options: v.optional(anything),
      })
      // as of users that were made for SCRAM-SHA-256 alone
      if (args.mechanism === 'SCRAM-SHA-1') throw authenticationFailed()
      if (args.mechanism !== mechanism) {
        throw new Refusal(
          334,
          'MechanismUnavailable',
          `Received authentication for mechanism ${args.mechanism} which is not enabled`,
        )
      }
      return start(call.server, call.connection, call.db, args.payload)
    },
  },
  saslContinue: {
    needs: 'nothing',
    run(call) {
      const { connection, server } = call
      const args = argumentsOf(call, { conversationId: integer, payload: anything })
      const { conversation } = connection
      connection.conversation = undefined
      if (conversation === undefined || conversation.id !== args.conversationId) {
        throw new Refusal(17, 'ProtocolError', 'No SASL session state found')
      }
      const { db, scram } = conversation
      const final = scram.finish(textOf(args.payload))
      // dropped or given another password meanwhile: the proof was for what is there no more
      const user = server.users.find({ user: scram.user, db })
      if (final === undefined || user === undefined) throw authenticationFailed()
      if ((user.authenticationRestrictions ?? []).length > 0) throw authenticationFailed()
      if (connection.user !== undefined && connection.user.user !== user.user) {
        throw new Refusal(
          5626701,
          'Location5626701',
          'Each client connection may only be authenticated once.',
        )
      }
      connection.logIn({ user: user.user, db }, String(user.userId))
      return { conversationId: new Int32(conversation.id), done: true, payload: binary(final) }
    },
  },
  logout: {
    needs: 'nothing',
    run({ connection }) {
      connection.logOut()
      return {}
    },
  },
}

function textOf(payload: unknown): string {
  if (typeof payload === 'string') return Buffer.from(payload, 'base64').toString('utf8')
  if (payload instanceof Binary) return Buffer.from(payload.value()).toString('utf8')
  throw badValue('the payload of a SASL message must be binary')
}

function binary(message: string): Binary {
  return new Binary(Buffer.from(message, 'utf8'))
}
