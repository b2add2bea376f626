/** Functions of the broker as tests start them: in the test's own process, or as one of their own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { freePort } from '../../sandbox/machine/free-port.ts'
import { type Config, loadConfig } from '../../shared/environment/config.ts'

/** The headers of a request that gets past authentication and version. */
export const headers = {
  Authorization: basic('broker', 'secret'),
  'X-Broker-API-Version': '2.17',
}

/** @returns an Authorization header */
export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** @returns an empty folder that is removed after the test */
export async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'edge-'))
  t.teardown(() => rm(path, { recursive: true }))
  return path
}

/** @returns a configuration with the user `broker`, password `secret` */
export async function configFor(t: ExecutionContext, overrides: Partial<Config> = {}): Promise<Config> {
  const usersFile = join(await folder(t), 'users.json')
  await writeFile(usersFile, JSON.stringify([{ username: 'broker', password: 'secret' }]))
  return {
    ...loadConfig({ BROKER_NAMESPACE: 'broker', DATABASE_NAMESPACE: 'databases' }),
    usersFile,
    ...overrides,
  }
}

/**
 * Keeps what the test's own process logs away from the terminal.
 *
 * @returns the lines so far; they go on growing
 */
export function captureLog(): string[] {
  const lines: string[] = []
  process.stdout.write = (text: string | Uint8Array): boolean => {
    lines.push(String(text))
    return true
  }
  return lines
}

export interface FunctionProcess {
  child: ChildProcess
  url: string
  port: number
  /** everything on stdout so far, a line each */
  lines: string[]
  /** everything on stderr so far */
  errors: string[]
  /** exit code, or the signal that ended it */
  ended: Promise<number | string>
}

/**
 * Runs a program that calls `serve`, and waits until it listens or ends.
 *
 * @param program `handler` source for a provision function, or the path of a program
 */
export async function start(
  t: ExecutionContext,
  program: { handler: string } | { path: string },
  environment: { [name: string]: string } = {},
): Promise<FunctionProcess> {
  const directory = await folder(t)
  const path = 'path' in program ? program.path : join(directory, 'index.mjs')
  await writeFile(join(directory, 'users.json'), JSON.stringify([{ username: 'broker', password: 'secret' }]))
  if ('handler' in program) {
    const module = (name: string) => JSON.stringify(new URL(`../../shared/${name}.ts`, import.meta.url).href)
    await writeFile(
      path,
      `import { serve } from ${module('serving/serve')}
      import { body } from ${module('osb/messages/body')}
      import { ProvisionBody } from ${module('osb/messages/requests')}
      import { span } from ${module('telemetry/telemetry')}
      await serve('provision', ${program.handler})`,
    )
  }
  const port = await freePort()
  const child = spawn(process.execPath, [path], {
    env: {
      PATH: process.env.PATH,
      PORT: String(port),
      BROKER_NAMESPACE: 'broker',
      DATABASE_NAMESPACE: 'databases',
      USERS_FILE: join(directory, 'users.json'),
      ...environment,
    },
  })
  const lines: string[] = []
  const errors: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.trimEnd().split('\n')))
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text))
  const ended = once(child, 'close').then(([code, signal]): number | string => code ?? signal)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const url = `http://127.0.0.1:${port}`
  while (child.exitCode === null) {
    const alive = await fetch(`${url}/health/liveness`).catch(() => undefined)
    if (alive?.ok) break
    await delay(10)
  }
  return { child, url, port, lines, errors, ended }
}
