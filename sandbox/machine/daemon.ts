/** What the rooms of the sandbox need of the machine: processes that end with us, ports, addresses, files, accounts. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** How a process ended: its exit code, if it had one, and a phrase for people. */
export interface Exit {
  code: number | null
  reason: string
}

/** A process that ends when its standard input closes, and so with this one, however this one ends. */
export interface Daemon {
  /** Its process id, or 0 if it could not be started. */
  pid: number
  /** Resolves when the process has ended; never rejects. */
  exited: Promise<Exit>
  /** Ends the process, by force after three seconds. */
  stop(): Promise<void>
  /** The last lines of its log. */
  lastLines(): string
}

/**
 * Starts a program in a session of its own, so that Ctrl-C in a terminal reaches only this process, which
 * then ends the others in order.
 *
 * @param command a program that ends when its standard input closes, with its arguments; see {@link guarded}
 * @param folder its working directory
 * @param logFile where its output goes; made anew
 */
export function startDaemon(
  command: readonly [string, ...string[]],
  folder: string,
  logFile: string,
): Daemon {
  const [program, ...args] = command
  rmSync(logFile, { force: true })
  const log = openSync(logFile, 'a', 0o600)
  // A third of what an API server does is collecting garbage, as long as nobody lets it have more memory.
  const env = { GOGC: '400', GOMEMLIMIT: '2GiB', ...process.env }
  const child = spawn(program, args, { cwd: folder, detached: true, env, stdio: ['pipe', log, log] })
  closeSync(log)
  const exited = exitOf(child)
  return {
    pid: child.pid ?? 0,
    exited,
    async stop() {
      child.stdin?.end()
      const late = new AbortController()
      await Promise.race([exited, sleep(3_000, undefined, { signal: late.signal })])
      late.abort()
      child.kill('SIGKILL')
      await exited
    },
    lastLines: () => readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n'),
  }
}

/** Waits for the end of a process; one that could not be started counts as ended. */
export function exitOf(child: ChildProcess): Promise<Exit> {
  // Writing to a process that has just ended raises EPIPE here; its exit tells all there is to know.
  child.stdin?.on('error', () => undefined)
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: null, reason: error.message }))
    child.on('exit', (code, signal) => {
      child.stdin?.destroy()
      resolve({ code, reason: signal === null ? `exit code ${code}` : `signal ${signal}` })
    })
  })
}

const guard = `
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
(
  while read -r _ <&3; do :; done
  kill "$child" && sleep 2 && kill -9 "$child"
) 2>/dev/null &
trap 'kill "$child"' TERM INT
wait "$child"
`

/** The command that runs a program which ignores its standard input, and ends it when that input closes. */
export function guarded(program: string, args: readonly string[]): [string, ...string[]] {
  return ['/bin/sh', '-c', guard, program, program, ...args]
}

/** What an error says, for a sentence of our own. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
