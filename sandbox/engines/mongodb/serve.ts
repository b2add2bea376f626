/** The requests of one client, one after the other. */
import type { Socket } from 'node:net'
import { dispatch } from './dispatch.ts'
import { Connection } from './parts/connection.ts'
import type { Member } from './parts/member.ts'
import type { Server } from './parts/server.ts'
import { answerTo, ProtocolError, type Request, RequestReader } from './parts/wire.ts'

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
