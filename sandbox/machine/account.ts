import { chown, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** The unprivileged user a server runs as when the sandbox was started by root. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/**
 * The account for database servers: `nobody` when this process is root (PostgreSQL refuses root),
 * else `undefined`, meaning our own.
 * Throws when root has no user `nobody` to hand over to.
 */
export async function engineAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const users = await readFile('/etc/passwd', 'utf8')
  const line = users.split('\n').find((entry) => entry.startsWith('nobody:'))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined)
    throw new Error('/etc/passwd has no user "nobody", under which root runs database servers: add it')
  return { uid: Number(uid), gid: Number(gid) }
}

/** Writes a file that the account alone can read. */
export async function writeFor(account: Account | undefined, file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600 })
  await giveTo(account, file)
}

/** Makes the account the owner of files and folders, not of what is in them. */
export async function giveTo(account: Account | undefined, ...paths: string[]): Promise<void> {
  if (account) for (const path of paths) await chown(path, account.uid, account.gid)
}

/**
 * Makes sure that another user can get into a folder.
 * Throws naming the closed parent folder (as /root is) when it cannot.
 */
export async function assertReachable(folder: string): Promise<void> {
  for (let parent = resolve(folder); ; parent = dirname(parent)) {
    const { mode } = await stat(parent)
    if ((mode & 0o001) === 0)
      throw new Error(
        `${folder} cannot hold database servers: they run as "nobody", and ${parent} is closed to other users. ` +
          'Choose a folder outside it, for example under /var/tmp',
      )
    if (parent === dirname(parent)) return
  }
}
