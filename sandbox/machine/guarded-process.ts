import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Account } from './account.ts'
import { pidFile } from './orphan.ts'

/** A server process that ends when we end, however we end. */
export interface GuardedProcess {
  /** Settles with the exit in words once the process is gone. */
  readonly exited: Promise<string>
  /** Asks the process to end in good order and waits for it. */
  stop(): Promise<void>
}

export interface GuardedProcessOptions {
  readonly account: Account | undefined
  /** Where it works and where its process id is left, for whoever finds it orphaned (`orphan.ts`). */
  readonly folder: string
  /** File descriptor that gets standard output and standard error. */
  readonly log: number
  readonly environment: Readonly<Record<string, string>>
  /** Seconds that it has to end in good order; ten unless said. */
  readonly patience?: number
  /** What asks the process to end, and what insists when its patience is over; INT and QUIT unless said. */
  readonly signals?: readonly [polite: string, insistent: string]
}

/**
 * The shell holds the read end of a pipe from us. When we close it, or die by any signal, the read
 * ends and the shell asks the server to end, and after a while is less polite.
 */
const guard = `
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
echo "$server SIG$POLITE" >"$PID_FILE"
{
  read -r _ <&3
  kill -$POLITE $server
  for tenth in $(seq $TENTHS); do kill -0 $server || exit; sleep 0.1; done
  kill -$INSISTENT $server
} >/dev/null 2>&1 &
watch=$!
wait $server
code=$?
kill $watch >/dev/null 2>&1
exit $code
`

/** Starts a program under the guard, in a session of its own so that Ctrl-C does not reach it. */
export function startGuarded(
  program: string,
  parameters: readonly string[],
  options: GuardedProcessOptions,
): GuardedProcess {
  const [POLITE, INSISTENT] = options.signals ?? ['INT', 'QUIT']
  const TENTHS = String((options.patience ?? 10) * 10)
  const child = spawn('/bin/sh', ['-c', guard, 'guard', program, ...parameters], {
    cwd: options.folder,
    detached: true,
    env: { ...options.environment, PID_FILE: join(options.folder, pidFile), POLITE, INSISTENT, TENTHS },
    stdio: ['pipe', options.log, options.log],
    ...options.account,
  })
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`it could not be started: ${error.message}`))
    child.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `exit code ${code}`))
  })
  // The pipe breaks when the shell is gone first; `exited` tells that story.
  child.stdin?.on('error', () => undefined)
  return {
    exited,
    async stop() {
      child.stdin?.end()
      await exited
    },
  }
}
