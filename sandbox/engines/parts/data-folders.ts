import { chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { type Account, assertReachable, engineAccount, giveTo } from '../../machine/account.ts'
import { writeAtomically } from '../../machine/atomic-file.ts'
import { once } from '../../machine/once.ts'
import { endOrphan } from '../../machine/orphan.ts'
import type { Instance } from './engine.ts'

const Mark = v.object({ name: v.string(), volume: v.string() })
type Mark = v.InferOutput<typeof Mark>

/** Where a make of server keeps what it stores: a folder for each database, marked with the volume it belongs to. */
export interface DataFolders {
  /** The account for server processes; undefined means our own. */
  account(): Promise<Account | undefined>
  /**
   * The folder of a database, with no server running on it. Data of another volume is thrown away first, and so is what
   * was only half made.
   * @param make fills a new folder, which belongs to the account; its failure leaves the folder unmarked
   */
  claim(instance: Pick<Instance, 'name' | 'volume'>, make: (folder: string) => Promise<void>): Promise<string>
  /** Forgets the data kept under a name. No server may be running on it. */
  wipe(name: string): Promise<void>
  /** The names under which data is kept, with the volume it belongs to. */
  kept(): Promise<Mark[]>
}

/**
 * @param home Folder for programs and data; made when absent. When we are root it must be reachable
 *   for the user `nobody`.
 * @param engine Name of the folder in it for this make.
 */
export function dataFolders(home: string, engine: string): DataFolders {
  const all = join(home, engine)
  const folderOf = (name: string) => join(all, name.replace('/', '_'))
  const account = once(() => prepare(home, all))
  return {
    account,
    async claim({ name, volume }, make) {
      const owner = await account()
      const folder = folderOf(name)
      await endOrphan(folder)
      if ((await readMark(folder))?.volume === volume) return folder
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { mode: 0o755 })
      await giveTo(owner, folder)
      await make(folder)
      await writeAtomically(join(folder, 'instance.json'), JSON.stringify({ name, volume }))
      return folder
    },
    async wipe(name) {
      await rm(folderOf(name), { recursive: true, force: true })
    },
    async kept() {
      const folders = await readdir(all).catch(() => [])
      const marks = await Promise.all(folders.map((folder) => readMark(join(all, folder))))
      return marks.filter((mark) => mark !== undefined)
    },
  }
}

async function prepare(home: string, all: string): Promise<Account | undefined> {
  const account = await engineAccount()
  await mkdir(all, { recursive: true, mode: 0o755 })
  if (account) {
    // Whatever our umask made of them.
    for (const folder of [home, all]) await chmod(folder, 0o755)
    await giveTo(account, home, all)
    await assertReachable(all)
  }
  return account
}

async function readMark(folder: string): Promise<Mark | undefined> {
  const text = await readFile(join(folder, 'instance.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : v.parse(Mark, JSON.parse(text))
}
