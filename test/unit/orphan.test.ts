import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { endOrphan, pidFile } from '../../sandbox/machine/orphan.ts'

/** A process that would go on for a minute, working in the folder. */
async function worker(folder: string): Promise<ChildProcess> {
  const child = spawn('/bin/sleep', ['60'], { cwd: folder, stdio: 'ignore' })
  await once(child, 'spawn')
  return child
}

test('a server left behind in the folder of its database is ended, a stranger who got its process id is not', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'orphan-'))
  const [data, elsewhere] = [join(home, 'db', 'data'), join(home, 'db-2')]
  for (const folder of [data, elsewhere]) await mkdir(folder, { recursive: true })
  const server = await worker(data)
  const stranger = await worker(elsewhere)
  try {
    await writeFile(join(home, 'db', pidFile), `${stranger.pid}\n`)
    await endOrphan(join(home, 'db'))
    t.is(stranger.signalCode, null)
    await t.throwsAsync(access(join(home, 'db', pidFile)), { code: 'ENOENT' })

    await writeFile(join(home, 'db', pidFile), `${server.pid}\n`)
    const ended = once(server, 'exit')
    await endOrphan(join(home, 'db'))
    t.deepEqual(await ended, [null, 'SIGINT'])
    t.is(stranger.exitCode, null)
    // Nothing to do is no trouble.
    await endOrphan(join(home, 'db'))
  } finally {
    for (const child of [server, stranger]) child.kill('SIGKILL')
    await rm(home, { recursive: true })
  }
})
