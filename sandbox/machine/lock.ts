import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/**
 * Makes sure that one process at a time works on a folder: this one, until it ends. The lock is a socket that somebody
 * listens on, so that it cannot outlive its process.
 *
 * @throws {Locked} when another process has it
 */
export async function lock(folder: string): Promise<void> {
  const socket = join(tmpdir(), `kubedb-service-broker-${hashOf(folder)}.sock`)
  const server = createServer((connection) => connection.destroy()).unref()
  if (!(await listens(server, socket))) {
    if (await answers(socket)) throw new Locked(folder)
    await rm(socket, { force: true })
    if (!(await listens(server, socket))) throw new Locked(folder)
  }
  process.once('exit', () => rmSync(socket, { force: true }))
}

/** Another process works on the folder. */
export class Locked extends Error {
  constructor(folder: string) {
    super(`another sandbox runs in ${folder}: stop it first`)
    this.name = 'Locked'
  }
}

/** @returns 12 characters that stand for the folder */
export function hashOf(folder: string): string {
  return createHash('sha256').update(resolve(folder)).digest('hex').slice(0, 12)
}

function listens(server: Server, socket: string): Promise<boolean> {
  return new Promise((done, fail) => {
    const failed = (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? done(false) : fail(error))
    server.once('error', failed)
    server.listen(socket, () => {
      server.off('error', failed)
      done(true)
    })
  })
}

function answers(socket: string): Promise<boolean> {
  return new Promise((done) => {
    const connection = connect(socket, () => done(true))
    connection.once('error', () => done(false))
    connection.once('connect', () => connection.destroy())
  })
}
