import { readFile, readlink, realpath, rm } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** In a database's folder: the process id of the server that was started there last, and the signal that ends it. */
export const pidFile = 'server.pid'

/**
 * Ends what is left of an earlier sandbox: killed, it may have left its server for some moments. A machine that was
 * switched off leaves a process id behind that may now name a stranger, who works in another folder.
 *
 * @param folder of a database, in or below which its server works
 * @throws {Error} when the server does not end
 */
export async function endOrphan(folder: string): Promise<void> {
  const server = await startedIn(folder)
  if (!server) return
  const { pid, ends } = server
  for (let waited = 0; await worksIn(folder, pid); waited += 50) {
    if (waited === 0 || waited === 5000) signal(pid, waited > 0 ? 'SIGQUIT' : ends)
    if (waited > 10_000) throw new Error(`a database server (process ${pid}) still runs on ${folder}: end it`)
    await sleep(50)
  }
  await rm(join(folder, pidFile), { force: true })
}

/**
 * @param folder of a database
 * @returns the process id of the server that was started there last, and the signal that ends it; undefined where none was
 */
export async function startedIn(
  folder: string,
): Promise<{ pid: number; ends: 'SIGINT' | 'SIGTERM' } | undefined> {
  const content = await readFile(join(folder, pidFile), 'utf8').catch(() => '')
  const [, number, name] = /^(\d+)(?: (SIGINT|SIGTERM))?$/m.exec(content) ?? []
  const pid = Number(number ?? 0)
  return pid <= 1 ? undefined : { pid, ends: name === 'SIGTERM' ? name : 'SIGINT' }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // Gone since we looked: that was the aim.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

async function worksIn(folder: string, pid: number): Promise<boolean> {
  const place = await readlink(`/proc/${pid}/cwd`).catch(() => '')
  return `${place}${sep}`.startsWith(`${await realpath(folder)}${sep}`)
}
