import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { writeAtomically } from './atomic-file.ts'

const book = v.record(v.string(), v.pipe(v.string(), v.ipv4()))

/** Which database has which loopback address; kept in a file, so that a restart changes none. */
export interface LoopbackAddresses {
  /** The address of a database, chosen at the first call; `port` must be free on a new one. */
  addressOf(name: string, port: number): Promise<string>
  /** Gives an address back. */
  release(name: string): Promise<void>
}

/** Opens the address book kept in `file`, made when absent. Throws when the file is not ours. */
export async function openLoopbackAddresses(file: string): Promise<LoopbackAddresses> {
  const addresses = new Map(Object.entries(await readBook(file)))
  let writing = Promise.resolve()
  const save = () => {
    writing = writing.then(() =>
      writeAtomically(file, JSON.stringify(Object.fromEntries(addresses), null, 2)),
    )
    return writing
  }
  const choose = async (name: string, port: number) => {
    for (let attempt = 0; attempt < 16; attempt++) {
      const address = candidate(`${resolve(file)} ${name} ${attempt}`)
      if ([...addresses.values()].includes(address)) continue
      addresses.set(name, address)
      if (await isFree(address, port)) return address
      addresses.delete(name)
    }
    throw new Error(
      `no loopback address has port ${port} free: a server listens there on all addresses; ` +
        `end it or let it listen on 127.0.0.1 only (see: ss -ltnp 'sport = :${port}')`,
    )
  }
  return {
    async addressOf(name, port) {
      const known = addresses.get(name)
      if (known !== undefined) return known
      const address = await choose(name, port)
      await save()
      return address
    },
    async release(name) {
      if (addresses.delete(name)) await save()
    },
  }
}

/** Between 127.64.0.1 and 127.254.255.254: clear of what other tools like to use. */
function candidate(seed: string): string {
  const [first = 0, second = 0, third = 0] = createHash('sha256').update(seed).digest()
  return `127.${64 + (first % 191)}.${second}.${1 + (third % 254)}`
}

function isFree(address: string, port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((free) => {
    server.once('error', () => free(false))
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => free(true)))
  })
}

async function readBook(file: string): Promise<Record<string, string>> {
  try {
    return v.parse(book, JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw new Error(`${file} is not a list of loopback addresses; remove it to begin anew`, { cause: error })
  }
}
