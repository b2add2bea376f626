/** What an engine of the sandbox is asked to start, in tests of one of them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestFn } from 'ava'
import type { Instance } from '../../sandbox/engines/parts/engine.ts'
import { openLoopbackAddresses } from '../../sandbox/machine/loopback.ts'
import { until } from './operator-setting.ts'

/** What tells one make of server from another. */
type Make = Pick<Instance, 'username' | 'password'> & { port: number }

/**
 * To be called at the top of a test file.
 *
 * @returns a folder for its servers, which any account may enter, and a way to describe an instance by its name
 */
export async function useInstances(test: TestFn, { port, ...administrator }: Make) {
  const home = await mkdtemp(join(tmpdir(), 'engines-'))
  await chmod(home, 0o755)
  test.after.always('remove the folder of the servers', () => rm(home, { recursive: true, force: true }))
  async function instance(name: string, more: Partial<Instance> = {}): Promise<Instance> {
    const addresses = await openLoopbackAddresses(join(home, `${name}.json`))
    return {
      name: `test/${name}`,
      volume: 'first',
      address: await addresses.addressOf(name, port),
      ...administrator,
      config: '',
      spec: {},
      ...more,
    }
  }
  return { home, instance }
}

/**
 * Starts servers by another process, for tests that kill it.
 *
 * @param statements that start them
 */
export async function startedByParent(statements: string): Promise<ChildProcess> {
  const program = `${statements}
    console.log('started')
    setInterval(() => undefined, 1000)`
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => parent.stdout.once('data', resolve))
  return parent
}

/** Waits until no process has the folder among its arguments. */
export async function untilServerGone(folder: string): Promise<void> {
  await until('the server gone', async () => {
    const { stdout } = await promisify(execFile)('ps', ['-eo', 'args'])
    return !stdout.includes(folder)
  })
}
