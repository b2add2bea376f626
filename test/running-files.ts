import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * Ends the test files that run: AVA tells of each by name, and goes on.
 *
 * @param pid of AVA. The processes of test files are those that test/support/title.ts has named
 */
export async function endRunningFiles(pid: number): Promise<void> {
  const { stdout } = await run('ps', ['-o', 'pid=,args=', '--ppid', String(pid)])
  for (const [, worker] of stdout.matchAll(/^ *(\d+) test\//gm)) process.kill(Number(worker))
}
