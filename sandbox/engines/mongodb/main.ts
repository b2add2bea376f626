/**
 * The process of one stand-in for MongoDB's server, see ../mongodb.ts: reads `settings.json` in its folder, keeps its
 * data in `journal.bson` there, listens, and ends at SIGINT.
 */
import { readFileSync } from 'node:fs'
import { createServer, type Server as Listener, type Socket } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import * as v from 'valibot'
import { listening } from './parts/listening.ts'
import type { Member } from './parts/member.ts'
import { Server } from './parts/server.ts'
import { Settings } from './parts/settings.ts'
import { serve } from './serve.ts'

/** The first byte of a TLS connection, which no message of MongoDB's protocol of a sane length begins with. */
const tlsHandshake = 0x16

const [folder = '.'] = process.argv.slice(2)
const settings = v.parse(Settings, JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8')))
const server = new Server(settings, join(folder, 'journal.bson'))
server.setAdministrator()

const secure = settings.tls && {
  context: createSecureContext({ ca: settings.tls.ca, cert: settings.tls.cert, key: settings.tls.key }),
  required: settings.tls.required,
  requestCert: settings.tls.certificates === 'demanded',
}

function accept(member: Member, socket: Socket): void {
  socket.on('error', () => socket.destroy())
  socket.once('readable', () => {
    const first: Buffer | null = socket.read(1)
    if (first === null) return socket.destroy()
    socket.unshift(first)
    if (first[0] !== tlsHandshake) {
      if (secure?.required) return socket.destroy()
      return serve(server, member, socket)
    }
    if (!secure) return socket.destroy()
    const encrypted = new TLSSocket(socket, {
      isServer: true,
      secureContext: secure.context,
      requestCert: secure.requestCert,
      rejectUnauthorized: true,
    })
    encrypted.on('error', () => socket.destroy())
    serve(server, member, encrypted)
  })
}

function listen(member: Member): Promise<Listener> {
  const listener = createServer((socket) => accept(member, socket))
  const host = settings.addresses[member.index]
  return new Promise((resolve, reject) => {
    listener.once('error', reject)
    listener.listen({ host, port: settings.port, exclusive: true }, () => resolve(listener))
  })
}

process.on('SIGINT', () => process.exit(0))
try {
  await Promise.all(server.members.map(listen))
  console.log(`${listening} on port ${settings.port}`)
} catch (error) {
  console.error(`cannot listen: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(48)
}
