/** One client's connection: who is logged in on it, and its requests, one after the other. */
import type { Socket } from 'node:net'
import { dispatch } from './dispatch.ts'
import type { Member } from './member.ts'
import type { Conversation } from './scram.ts'
import type { Server } from './server.ts'
import type { UserName } from './users.ts'
import { answerTo, ProtocolError, type Request, RequestReader } from './wire.ts'

export class Connection {
  readonly id: number
  readonly member: Member
  /** aborts when the client has gone */
  readonly abort = new AbortController()
  /** a log-in under way */
  conversation: { id: number; db: string; scram: Conversation } | undefined
  #user: UserName | undefined
  #userId: string | undefined

  constructor(id: number, member: Member) {
    this.id = id
    this.member = member
  }

  get user(): UserName | undefined {
    return this.#user
  }

  /** identity of the user: another one of the same name is somebody else */
  get userId(): string | undefined {
    return this.#userId
  }

  logIn(user: UserName, userId: string): void {
    this.#user = user
    this.#userId = userId
  }

  logOut(): void {
    this.#user = undefined
    this.#userId = undefined
  }
}

/** Serves a client until it goes. */
export function serve(server: Server, member: Member, socket: Socket): void {
  const connection = new Connection(server.nextNumber(), member)
  const reader = new RequestReader()
  let last = Promise.resolve()
  const answer = async (request: Request) => {
    const doc = await dispatch(server, connection, request.command)
    if (request.answer !== 'none' && socket.writable) socket.write(answerTo(request, doc))
  }
  socket.setNoDelay(true)
  socket.on('data', (chunk) => {
    try {
      for (const request of reader.read(Buffer.from(chunk))) {
        last = last.then(() => answer(request)).catch((error: unknown) => end(socket, error))
      }
    } catch (error) {
      end(socket, error)
    }
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => connection.abort.abort())
}

function end(socket: Socket, error: unknown): void {
  if (error instanceof ProtocolError) console.error(`connection closed: ${error.message}`)
  socket.destroy()
}
