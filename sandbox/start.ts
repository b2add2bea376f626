/**
 * `npm start`: the whole broker on this machine, with a real Kubernetes API and real databases.
 *
 *   PORT              8080 by default
 *   BROKER_USERNAME   broker by default
 *   BROKER_PASSWORD   generated and kept by default
 *   --reset           forget all data of earlier runs
 *   --directory PATH  where everything is kept: .sandbox by default
 *   --cluster         run the functions against the cluster that KUBECONFIG names, which must have KubeDB
 *
 * Ctrl-C or SIGTERM ends everything; a second one does not wait.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rm, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { filesIn, type SandboxFiles } from './files.ts'
import { writePrivateFile } from './machine/atomic-file.ts'
import { lock } from './machine/lock.ts'
import type { Sandbox } from './sandbox.ts'

/** Bytes: programs, data of a few databases, and what building the control plane once needs. */
const room = 500 * 2 ** 20

/** Milliseconds that a start has to give up after a signal; what it began ends with the process. */
const patience = 5_000

const started = Date.now()

function progress(line: string): void {
  console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`)
}

interface Wishes {
  port: number
  username: string
  password: string | undefined
  reset: boolean
  directory: string
  foreign: boolean
}

/** @throws with a sentence for people */
function wishes(args: string[], env: NodeJS.ProcessEnv): Wishes {
  const { values } = parseArgs({
    args,
    options: {
      reset: { type: 'boolean', default: false },
      directory: { type: 'string', default: join(import.meta.dirname, '../.sandbox') },
      cluster: { type: 'boolean', default: false },
    },
  })
  const port = Number(env.PORT || 8080)
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Error(`PORT is ${env.PORT}: it must be a number from 1 to 65535.`)
  }
  const username = env.BROKER_USERNAME || 'broker'
  if (username.includes(':')) throw new Error('BROKER_USERNAME must not contain a colon.')
  return {
    port,
    username,
    password: env.BROKER_PASSWORD || undefined,
    reset: values.reset,
    directory: resolve(values.directory),
    foreign: values.cluster,
  }
}

/** @throws with a sentence for people when the machine cannot run a sandbox now */
async function checkMachine(port: number, files: SandboxFiles): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? `Port ${port} is in use: end what uses it, or choose another, e.g. PORT=${port === 65535 ? 8080 : port + 1} npm start.`
          : `Port ${port} cannot be used: ${error.message}.`
      reject(new Error(why))
    })
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()))
  })
  const { bavail, bsize } = await statfs(files.directory)
  if (bavail * bsize < room) {
    throw new Error(
      `${files.directory} has ${Math.floor((bavail * bsize) / 2 ** 20)} MiB left on its disk: the sandbox needs 500.`,
    )
  }
}

/** @returns the password of an earlier run, or a new one */
async function keptPassword(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    const password = randomBytes(18).toString('base64url')
    await writePrivateFile(file, password)
    return password
  }
}

/** Ends a start. */
const aborter = new AbortController()

async function main(): Promise<void> {
  let sandbox: Sandbox | undefined
  let first = 0
  const end = async (code: number) => {
    await sandbox?.stop()
    process.exit(code)
  }
  const onSignal = () => {
    // One Ctrl-C comes twice: from the terminal, and from npm, which passes it on.
    if (first > 0 && Date.now() - first < 1000) return
    if (first > 0) process.exit(0)
    first = Date.now()
    console.log('\nEnding everything; once more to end it at once.')
    aborter.abort()
    if (sandbox) void end(0)
    else setTimeout(() => process.exit(0), patience).unref()
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  // npm passes SIGTERM to the shell between it and us, and that shell keeps it for itself.
  const parent = process.ppid
  if (process.env.npm_lifecycle_event !== undefined) {
    setInterval(() => process.ppid !== parent && onSignal(), 250).unref()
  }

  const { port, reset, directory, foreign, ...wish } = wishes(process.argv.slice(2), process.env)
  const files = filesIn(directory)
  await mkdir(files.directory, { recursive: true, mode: 0o700 })
  await lock(files.directory)
  await rm(files.sandbox, { force: true })
  await checkMachine(port, files)
  if (reset) {
    progress('Forgetting earlier data')
    for (const folder of [files.directory, files.engines]) await rm(folder, { recursive: true, force: true })
    await mkdir(files.directory, { mode: 0o700 })
  }
  // Loaded only now: it takes a while, and what is wrong with the wishes should be said at once.
  const { startSandbox } = await import('./sandbox.ts')
  aborter.signal.throwIfAborted()
  sandbox = await startSandbox({
    files,
    port,
    username: wish.username,
    password: wish.password ?? (await keptPassword(files.password)),
    foreign,
    environment: process.env,
    progress,
    broken(reason) {
      console.error(`The sandbox cannot go on: ${reason}`)
      void end(1)
    },
    signal: aborter.signal,
  })
  if (aborter.signal.aborted) return end(0)
  const { instructions } = await import('./instructions.ts')
  const lines = await instructions(sandbox)
  progress('Ready')
  console.log(lines)
  console.log(
    `  What operator and functions tell is in ${files.log}. Ctrl-C ends everything; the data stays.\n`,
  )
}

try {
  await main()
} catch (error) {
  // A request that takes too long is aborted too, which is no wish to end.
  const aborted = aborter.signal.aborted && error instanceof Error && error.name === 'AbortError'
  if (!aborted) console.error(error instanceof Error ? error.message : error)
  process.exit(aborted ? 0 : 1)
}
