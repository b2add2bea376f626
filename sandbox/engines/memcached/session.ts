import { connect, type Socket } from 'node:net'
import { connect as connectEncrypted } from 'node:tls'

/** Where a Memcached server is and who logs in to it. */
export interface MemcachedPlace {
  readonly address: string
  readonly port: number
  readonly username: string
  readonly password: string
  /** CA of the server's certificate, as PEM, where it speaks TLS */
  readonly ca?: string | undefined
}

/** A connection to Memcached, for one command after the other, and for values without line ends. */
export interface MemcachedSession {
  /**
   * @param line a command of the text protocol
   * @param data the block that goes with it, for commands that store
   * @returns the lines of the answer, without line ends
   * @throws {Error} in the server's words when it refuses the command
   */
  send(line: string, data?: string): Promise<string[]>
  close(): void
}

const patience = 5000

/** The lines with which an answer of the text protocol ends. */
const last = /^(END|OK|STORED|NOT_STORED|DELETED|NOT_FOUND|TOUCHED|RESET|VERSION .*|\d+|.*ERROR.*)$/

/**
 * Logs in by the text protocol's own authentication (`memcached -Y`), which is not SASL.
 *
 * @throws {Error} in the server's words when it does not let the user in
 */
export async function openMemcached(place: MemcachedPlace): Promise<MemcachedSession> {
  const socket = await dial(place)
  const session = overSocket(socket)
  const login = `${place.username} ${place.password}`
  try {
    await session.send(`set auth 0 0 ${Buffer.byteLength(login)}`, login)
  } catch (error) {
    session.close()
    throw error
  }
  return session
}

function dial({ address, port, ca }: MemcachedPlace): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      ca === undefined
        ? connect({ host: address, port }, () => resolve(socket))
        : connectEncrypted({ host: address, port, ca }, () => resolve(socket))
    socket.setTimeout(patience, () => socket.destroy(new Error(`${address}:${port} does not answer`)))
    socket.once('error', reject)
  })
}

function overSocket(socket: Socket): MemcachedSession {
  let received = ''
  let waiting: { resolve(lines: string[]): void; reject(error: Error): void } | undefined
  const fail = (error: Error) => {
    waiting?.reject(error)
    waiting = undefined
  }
  socket.setEncoding('utf8')
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the server closed the connection')))
  socket.on('data', (text: string) => {
    received += text
    const lines = received.split('\r\n')
    const end = lines.at(-2)
    if (lines.at(-1) !== '' || end === undefined || !last.test(end)) return
    received = ''
    if (/ERROR/.test(end)) return fail(new Error(end))
    waiting?.resolve(lines.slice(0, -1))
    waiting = undefined
  })
  return {
    send: (line, data) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new Error('the connection is closed'))
        waiting = { resolve, reject }
        socket.write(`${line}\r\n${data === undefined ? '' : `${data}\r\n`}`)
      }),
    close: () => socket.destroy(),
  }
}
